//! One macro for the many enumerations of the standards: a code, a name of ours, a name for people.

/// Declares an enumeration whose values are codes on the wire.
///
/// An unknown code is no value of the type: `from_code` returns `None`, and the caller names the error.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $repr:ident {
            $( $variant:ident = $value:literal, $text:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($repr)]
        pub enum $name {
            $( #[doc = $text] $variant = $value, )+
        }

        impl $name {
            /// Every value, in the order of the standard's table.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The value with this code, if the standard defines one.
            pub const fn from_code(code: $repr) -> Option<Self> {
                match code {
                    $( $value => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// The code on the wire.
            pub const fn code(self) -> $repr {
                self as $repr
            }

            /// The name for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// Declares a set of bits held in a little integer, with one named constant for each bit or field value.
macro_rules! bits {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $repr:ident {
            $( $(#[$cmeta:meta])* $constant:ident = $value:expr; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $repr);

        impl $name {
            $( $(#[$cmeta])* pub const $constant: Self = Self($value); )+

            /// No bit set.
            pub const NONE: Self = Self(0);

            /// Whether every bit of `other` is set here.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These bits and those of `other`.
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These bits without those of `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The integer on the wire.
            pub const fn bits(self) -> $repr {
                self.0
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    };
}
