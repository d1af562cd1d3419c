//! `koudai doctor`: puts a contract to the network it is with, before anybody pays by it, and says what is wrong with it.

use std::io::Write as _;

use koudai_core::ledger::WECHAT_NETWORK;
use koudai_networks::wechat::{Verdict, WeChat};

use crate::cli::DoctorWeChatArgs;
use crate::failure::Failure;
use crate::house::unix_seconds;
use crate::wechat;

/// `koudai doctor wechat`: a line for each part of the contract.
///
/// # Errors
/// If the file cannot be used, or anything in it is wrong as the platform sees it.
pub(crate) async fn run_wechat(args: DoctorWeChatArgs) -> Result<(), Failure> {
    // One on this machine may be looked over as well: for a demo.
    let contract = wechat::read_of_this_machine(&args.wechat)?;
    let origin = args.origin.trim_end_matches('/');
    let client = WeChat::new(contract.settings(origin, origin, WECHAT_NETWORK.0, unix_seconds))
        .map_err(|error| Failure::usage(format!("--wechat {}: {error}", args.wechat.display())))?;
    let found = client.examine().await;
    let mut out = std::io::stdout().lock();
    let mut line = |word: &str, part: &str, says: &str| {
        // Whoever closed the terminal does not read it.
        let _said = writeln!(out, "{word:<8} {part}: {says}");
    };
    for finding in &found {
        let word = match finding.verdict {
            Verdict::Fine => "fine",
            Verdict::Wrong => "WRONG",
            Verdict::Unsure => "unsure",
        };
        line(word, finding.part, &finding.says);
    }
    let notices = format!("{origin}/networks/{}/notice", WECHAT_NETWORK.0);
    line("see to", "notices", &format!("WeChat Pay has to reach {notices} from outside"));
    let wrong = found.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::new("one thing is wrong with the contract")),
        _ => Err(Failure::new(format!("{wrong} things are wrong with the contract"))),
    }
}
