//! How a row is declared: from one list of fields come its struct, its columns, its key and its place among the loaded rows.

macro_rules! row_types {
    ($(
        $(#[$doc:meta])*
        $name:ident in $table:ident as $slot:ident $(derived $derived:literal)? $(kept $kept:literal)? {
            $(#[$key_doc:meta])* $key:ident: $key_type:ty,
            $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
        }
        $(+ $moving:ident { $($(#[$moving_doc:meta])* $moving_field:ident: $moving_type:ty),* $(,)? })?
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $(#[$key_doc])* pub $key: $key_type,
                $($(#[$field_doc])* pub $field: $type,)*
                $($($(#[$moving_doc])* pub $moving_field: $moving_type),*)?
            }

            impl Row for $name {
                type Key = $key_type;
                const TABLE: &'static str = stringify!($table);
                const FIELDS: Fields = &[
                    (stringify!($key), <$key_type as Column>::PARTS),
                    $((stringify!($field), <$type as Column>::PARTS)),*
                ];
                const MOVING: Option<(&'static str, Fields)> = $crate::declaring::row_types!(@moving $($moving {
                    $((stringify!($moving_field), <$moving_type as Column>::PARTS)),*
                })?);
                const DERIVED: bool = false $(|| $derived)?;
                const KEPT: bool = false $(|| $kept)?;

                fn key(&self) -> Self::Key {
                    self.$key.clone()
                }
                fn write(&self, out: &mut Vec<Value>) {
                    Column::write(&self.$key, out);
                    $(Column::write(&self.$field, out);)*
                }
                fn write_moving(&self, out: &mut Vec<Value>) {
                    Column::write(&self.$key, out);
                    $($(Column::write(&self.$moving_field, out);)*)?
                }
                fn is_fixed_as(&self, other: &Self) -> bool {
                    true $(&& self.$field == other.$field)*
                }
                fn read(cells: &mut Cells<'_>) -> Result<Self, &'static str> {
                    Ok(Self {
                        $key: Column::read(cells).ok_or(stringify!($key))?,
                        $($field: Column::read(cells).ok_or(stringify!($field))?,)*
                        $($($moving_field: Column::read(cells).ok_or(stringify!($moving_field))?),*)?
                    })
                }
                fn heap_bytes(&self) -> usize {
                    2 * Column::heap_bytes(&self.$key) $(+ Column::heap_bytes(&self.$field))*
                        $($(+ Column::heap_bytes(&self.$moving_field))*)?
                }
            }
        )*
    };
    (@moving) => { None };
    (@moving $moving:ident { $($field:expr),* }) => { Some((stringify!($moving), &[$($field),*])) };
}

/// Declares rows, and makes what holds the loaded ones of them all: these, and those that `elsewhere` declares.
macro_rules! rows {
    (elsewhere { $($other:ident in $other_table:ident as $other_slot:ident),* $(,)? } $(
        $(#[$doc:meta])*
        $name:ident in $table:ident as $slot:ident $(derived $derived:literal)? $(kept $kept:literal)? {
            $($body:tt)*
        } $(+ $moving:ident { $($moving_body:tt)* })?
    )*) => {
        $crate::declaring::row_types! {
            $($(#[$doc])* $name in $table as $slot $(derived $derived)? $(kept $kept)? { $($body)* } $(+ $moving { $($moving_body)* })?)*
        }
        $crate::declaring::rows! { @loaded $($name in $table as $slot,)* $($other in $other_table as $other_slot,)* }
    };
    (@loaded $($name:ident in $table:ident as $slot:ident),* $(,)?) => {
        /// The loaded rows of every table.
        #[derive(Debug, Default)]
        pub struct Rows {
            $(#[doc = concat!("Rows of `", stringify!($table), "`.")] pub $slot: crate::cache::Cache<$name>),*
        }

        impl Rows {
            /// Shows every table's rows to a visitor, in a fixed order.
            ///
            /// # Errors
            /// The visitor's first.
            pub fn visit<V: crate::cache::TableVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
                $(visitor.table(&mut self.$slot)?;)*
                Ok(())
            }

            /// Hands every wanted key to `loading`, whose rows are none yet. Whether there was any.
            pub fn hand_wanted(&mut self, loading: &mut Self) -> bool {
                let any = $(self.$slot.is_wanted())||*;
                $(self.$slot.hand_wanted(&mut loading.$slot);)*
                any
            }

            /// Takes in the rows that have arrived in `loading`. What is here already stays as it is.
            pub fn absorb(&mut self, loading: &mut Self) {
                $(self.$slot.absorb(&mut loading.$slot);)*
            }

            /// Every table that rows stand in, in the order of `visit`.
            pub fn shapes() -> Vec<Shape> {
                [$(<$name as Row>::shapes()),*].concat()
            }
        }
    };
}

pub(crate) use {row_types, rows};
