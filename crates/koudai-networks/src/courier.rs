//! Sends what is due and hands outcomes back as commands.
