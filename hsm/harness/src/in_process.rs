//! A test in a process of its own, in whose environment there is one token and no other.

use hsm::TokenConfig;

use crate::child::{self, Order};
use crate::{Home, Kind};

/// What the test knows.
#[derive(Debug)]
pub struct InProcess {
    config: TokenConfig,
}

impl InProcess {
    /// Module, token and PIN, for the custody crate or for any other PKCS#11 library.
    pub const fn config(&self) -> &TokenConfig {
        &self.config
    }
}

/// What [`crate::in_process!`] expands to: runs `body` in a child process that has a fresh token. `path`: the test's, with
/// its crate.
///
/// # Panics
/// The child fails, or there can be no token.
#[doc(hidden)]
pub fn run(kind: Kind, path: &str, body: impl FnOnce(&InProcess)) {
    const INSIDE: &str = "TOKEN_HARNESS_INSIDE";
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    if std::env::var(INSIDE).as_deref() == Ok(name) {
        let Some((config, _)) = Order::received() else { panic!("the order cannot be read") };
        body(&InProcess { config });
        // Modules do not live well with sessions that are open when the process exits.
        hsm::shut_down();
        return;
    }
    let output = Home::make(kind).and_then(|home| {
        let mut program = child::program(&home)?;
        program.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, name);
        crate::error::Asked::asked(program.output(), "start a child process")
    });
    match output {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && told.contains("1 passed"),
                "{name} failed in its process ({}):\n{told}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Err(failure) => panic!("{name}: {}", child::sentences(&failure)),
    }
}
