#![doc = include_str!("../README.md")]

mod child;
#[cfg(feature = "container")]
mod container;
mod error;
mod home;
mod in_process;
mod kinds;
mod local;
mod relay;
mod token;

pub use child::agent_process;
#[cfg(feature = "container")]
pub use container::{AgentContainer, Container, IMAGE, Role, engine, remove_leftovers};
pub use error::Failure;
pub use home::Home;
pub use hsm;
pub use in_process::InProcess;
#[doc(hidden)]
pub use in_process::run as run_in_process;
pub use kinds::Kind;
pub use local::Local;
pub use token::TestToken;

/// SoftHSM, the token that is everywhere.
#[derive(Debug)]
pub struct SoftHsm;

impl SoftHsm {
    /// A fresh token in a temporary folder, with an agent in a process of its own.
    ///
    /// # Errors
    /// SoftHSM is not installed, or the test program has no [`agent!`].
    pub fn local() -> Result<Local, Failure> {
        Local::of(Kind::SoftHsm)
    }

    /// A fresh token in a container, with the appliance's token agent beside it.
    ///
    /// # Errors
    /// There is no container engine, or no image; the sentence says which script makes it.
    #[cfg(feature = "container")]
    pub fn container() -> Result<Container, Failure> {
        Container::start(Role::Sealing)
    }
}

/// Lets the test program be its own token agent. Once, at the top of the test file.
#[macro_export]
macro_rules! agent {
    () => {
        /// Not a test: the entrance of child processes.
        #[test]
        fn token_harness_agent() {
            $crate::agent_process();
        }
    };
}

/// Declares a test that runs in a process of its own, with a fresh SoftHSM token in its environment: for code that
/// loads the module itself.
///
/// ```no_run
/// token_harness::in_process! {
///     fn a_library_of_ours_finds_its_token(token) {
///         let label = token.config().uri.label.as_deref();
///         assert_eq!(label, Some("harness"));
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! in_process {
    ($(#[$attribute:meta])* fn $name:ident($token:ident) $body:block) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            $crate::run_in_process(
                $crate::Kind::SoftHsm,
                concat!(module_path!(), "::", stringify!($name)),
                |$token: &$crate::InProcess| $body,
            );
        }
    };
}
