//! What the tests of this floor share, and the test that damages everything.

pub(super) mod judge;
mod robustness;
