//! The functions that programs call: each finds out whether the descriptor is ours, which costs one load when it is not, and then
//! does what its module says, or what would have been done without us.
//!
//! They have the C library's names and signatures, but for those that take any number of arguments there: these take as
//! many as such a call can have, which is the same on the machines that we build for, or pass them on ([`passing`]). Unwinding
//! may pass through them, as it does when a thread is cancelled.

mod descriptor;
mod passing;
mod program;
mod receive;
mod send;
mod socket;
mod splice;
mod stream;
mod wait;

/// A function that stands before the C library's of the same name. In tests it has no name, so that the test is no program of ours.
macro_rules! hooks {
    ($($(#[$about:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty $body:block)*) => {
        $(
            $(#[$about])*
            ///
            /// # Safety
            /// As of the C library's function of this name.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            #[cfg_attr(test, allow(dead_code, non_snake_case, reason = "tests are no programs of ours"))]
            pub unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $answer $body
        )*
    };
}
pub(crate) use hooks;
