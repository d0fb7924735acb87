//! The functions of PKCS#11 2.40.

use std::fmt;
use std::str::FromStr;

use crate::NotARule;

/// One of them, as in `C_Sign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function(&'static str);

impl Function {
    pub(crate) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name in the standard.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl FromStr for Function {
    type Err = NotARule;

    fn from_str(name: &str) -> Result<Self, NotARule> {
        let known = crate::module::NAMES.iter().find(|known| **known == name);
        known
            .map(|name| Self(name))
            .ok_or_else(|| NotARule(format!("'{name}' is no function of PKCS#11 2.40")))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
