//! What the tests of this floor share, and the test that damages everything.

pub(crate) mod judge;
mod robustness;
