//! Pages: what a logical unit says of itself, built from what it is.
//!
//! Nothing here changes anything but a copy of the settings: the commands that read and set pages are in `spc`.

pub(super) mod mode;
pub(super) mod vpd;
