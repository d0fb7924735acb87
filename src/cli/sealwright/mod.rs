//! `sealwright`: sets the appliance up and looks after it.
pub(in crate::cli) mod root;
