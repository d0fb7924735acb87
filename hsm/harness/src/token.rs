//! The one trait: a token that a test may use and break.

use std::sync::Arc;

use hsm::provision::MadeGeneration;
use hsm::{Algorithm, Deadlines, KeyReference, Launch, Socket, Token};

use crate::Failure;

/// A fresh token behind an agent of its own, and what can happen to it.
///
/// Everything that happens can be undone. What is undone without having been done changes nothing.
pub trait TestToken: Send + Sync {
    /// The token's label.
    fn label(&self) -> &str;

    /// Where the agent is reached. The same for the token's whole life, whatever happens to the agent.
    fn socket(&self) -> Socket;

    /// Makes a key pair in the token (`C_GenerateKeyPair`), by a process of its own beside the agent.
    ///
    /// # Errors
    /// The token does not make such keys, or is not there.
    fn signing_key(&self, algorithm: Algorithm) -> Result<KeyReference, Failure>;

    /// Makes the two keys of a generation, which seal data and wrap keys.
    ///
    /// # Errors
    /// The token does not seal, or is not there.
    fn sealing_keys(&self, number: u32) -> Result<MadeGeneration, Failure>;

    /// Ends the agent and everything below it at once (`SIGKILL`). It stays away until [`Self::restart`].
    ///
    /// # Errors
    /// There is none.
    fn kill(&self) -> Result<(), Failure>;

    /// Ends the agent if it runs, and starts it again. Returns when it listens.
    ///
    /// # Errors
    /// It does not start.
    fn restart(&self) -> Result<(), Failure>;

    /// Stops the agent where it is: nothing is answered, nothing is refused, connections stay open.
    ///
    /// # Errors
    /// There is none.
    fn pause(&self) -> Result<(), Failure>;

    /// Lets a paused agent go on.
    ///
    /// # Errors
    /// There is none.
    fn resume(&self) -> Result<(), Failure>;

    /// Puts another token with the same label and PIN, and without keys, in the place of this one, under the agent's
    /// hands.
    ///
    /// # Errors
    /// The other token cannot be made.
    fn replace_token(&self) -> Result<(), Failure>;

    /// Brings back the token that [`Self::replace_token`] took away.
    ///
    /// # Errors
    /// It cannot be moved.
    fn return_token(&self) -> Result<(), Failure>;

    /// From now on nothing that client or agent say reaches the other. Connections stay open, new ones are not
    /// answered: what a cable that was pulled looks like.
    fn lose_network(&self);

    /// What was said meanwhile arrives, and everything after it.
    fn restore_network(&self);

    /// A client with the usual deadlines. Each is one more user of the token.
    fn client(&self) -> Arc<Token> {
        self.client_with(Deadlines::default())
    }

    /// A client that waits so long and no longer.
    fn client_with(&self, deadlines: Deadlines) -> Arc<Token> {
        Token::through(Launch::Socket(self.socket()), deadlines)
    }
}
