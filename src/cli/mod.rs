//! (to be written)

pub mod sealwright;
pub mod service_control;
