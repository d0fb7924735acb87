//! Fuzz targets of this floor, and real values for them and for those of other rooms.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod der;
pub(crate) mod names;
pub(crate) mod pem;
pub(crate) mod values;
