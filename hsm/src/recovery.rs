//! What to do about an answer of the token: one table from operation and return value to a decision.
//!
//! The return value alone does not say enough: `CKR_GENERAL_ERROR` from `C_Decrypt` is a changed ciphertext, and the
//! same value from `C_Sign` is a fault of the session.

use cryptoki::context::Function;
use cryptoki::error::{Error as Pkcs11Error, RvError};

use crate::Error;
use crate::error::Answer;

/// What we were doing when the token answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Finding the token, opening a session, logging in, asking for its state or for random octets.
    Connect,
    /// Finding a key and signing.
    Sign,
    /// Finding a key and encrypting.
    Seal,
    /// Finding a key and decrypting.
    Open,
    /// Creating or destroying objects. Never repeated: the token may have done it already.
    Provision,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The handle is dead: find the key again, by id and public key.
    FindAgain,
    /// The session is dead or logged out: drop it, connect again, log in.
    Reconnect,
    /// The module has lost the token: finalise and initialise it.
    Reinitialise,
    /// The PIN was not accepted: stop, and never try again in this process.
    Stop,
    /// The data does not decrypt. The token is well.
    Unreadable,
    /// This token does not do this.
    Unsupported,
    /// The token may answer another time.
    GiveUp,
}

/// Why one attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The token answered with an error: the table decides.
    Answer(Answer),
    /// The token or the key is not there. It may be hidden by an old view of the token, so the module is
    /// reinitialised once before this error is reported.
    Missing(Error),
    /// Decided already.
    Final(Error),
}

impl From<Pkcs11Error> for Failure {
    fn from(error: Pkcs11Error) -> Self {
        Self::Answer(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0, which the `cryptoki` crate has no name for.
const AEAD_DECRYPT_FAILED: u64 = 0x35;

/// The table.
pub(crate) fn decide(operation: Operation, answer: &Answer) -> Decision {
    use RvError as Rv;
    let (value, function) = match answer.error() {
        Some(Pkcs11Error::Pkcs11(value, function)) => (*value, *function),
        Some(Pkcs11Error::NotSupported | Pkcs11Error::NullFunctionPointer) => {
            return Decision::Unsupported;
        }
        _ => return Decision::GiveUp,
    };
    if opens(operation, function) && is_bad_data(value) {
        return Decision::Unreadable;
    }
    match value {
        Rv::ObjectHandleInvalid
        | Rv::KeyHandleInvalid
        | Rv::WrappingKeyHandleInvalid
        | Rv::UnwrappingKeyHandleInvalid => Decision::FindAgain,
        Rv::SessionHandleInvalid
        | Rv::SessionClosed
        | Rv::OperationActive
        | Rv::OperationNotInitialized
        | Rv::UserNotLoggedIn
        | Rv::GeneralError => Decision::Reconnect,
        Rv::DeviceError
        | Rv::DeviceRemoved
        | Rv::TokenNotPresent
        | Rv::TokenNotRecognized
        | Rv::SlotIdInvalid
        | Rv::FunctionFailed
        | Rv::CryptokiNotInitialized => Decision::Reinitialise,
        Rv::PinIncorrect
        | Rv::PinLocked
        | Rv::PinExpired
        | Rv::PinInvalid
        | Rv::PinLenRange
        | Rv::UserPinNotInitialized => Decision::Stop,
        Rv::HostMemory
        | Rv::DeviceMemory
        | Rv::SessionCount
        | Rv::FunctionCanceled
        | Rv::TokenWriteProtected
        | Rv::CryptokiAlreadyInitialized
        | Rv::VendorDefined(_)
        | Rv::UnknownErrorCode(_) => Decision::GiveUp,
        _ => Decision::Unsupported,
    }
}

/// Whether sealed data was being opened: for its own sake, to sign with it, or to seal it anew.
fn opens(operation: Operation, function: Function) -> bool {
    matches!(operation, Operation::Open | Operation::Sign)
        && matches!(function, Function::Decrypt | Function::UnwrapKey)
}

fn is_bad_data(value: RvError) -> bool {
    match value {
        RvError::GeneralError
        | RvError::DeviceError
        | RvError::FunctionFailed
        | RvError::EncryptedDataInvalid
        | RvError::EncryptedDataLenRange
        | RvError::DataInvalid
        | RvError::DataLenRange
        | RvError::WrappedKeyInvalid
        | RvError::WrappedKeyLenRange => true,
        // The code is 32 bits wide on some targets.
        #[allow(clippy::useless_conversion)]
        RvError::UnknownErrorCode(code) => u64::from(code) == AEAD_DECRYPT_FAILED,
        _ => false,
    }
}

/// The remedies that one operation may still use. Each is used once, from the mildest to the strongest.
pub(crate) struct Budget {
    find_again: bool,
    reconnect: bool,
    reinitialise: bool,
}

impl Budget {
    pub(crate) fn new(operation: Operation) -> Self {
        let repeatable = operation != Operation::Provision;
        Self { find_again: repeatable, reconnect: repeatable, reinitialise: repeatable }
    }

    /// The remedy to apply before the next attempt; `None` when there is none left, or none helps.
    pub(crate) fn spend(&mut self, decision: Decision) -> Option<Decision> {
        let take = |left: &mut bool, remedy| std::mem::take(left).then_some(remedy);
        match decision {
            Decision::FindAgain => take(&mut self.find_again, Decision::FindAgain),
            Decision::Reconnect => take(&mut self.reconnect, Decision::Reconnect),
            Decision::Reinitialise => None,
            _ => return None,
        }
        .or_else(|| take(&mut self.reinitialise, Decision::Reinitialise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_decides_by_operation_and_value() {
        use Decision::*;
        use Operation as Op;
        for (operation, function, value, decision) in [
            (Op::Sign, Function::SignInit, RvError::ObjectHandleInvalid, FindAgain),
            (Op::Sign, Function::SignInit, RvError::KeyHandleInvalid, FindAgain),
            (Op::Sign, Function::Sign, RvError::SessionHandleInvalid, Reconnect),
            (Op::Sign, Function::Sign, RvError::SessionClosed, Reconnect),
            (Op::Sign, Function::SignInit, RvError::UserNotLoggedIn, Reconnect),
            (Op::Sign, Function::Sign, RvError::GeneralError, Reconnect),
            (Op::Sign, Function::Sign, RvError::DeviceError, Reinitialise),
            (Op::Sign, Function::Sign, RvError::FunctionFailed, Reinitialise),
            (Op::Connect, Function::OpenSession, RvError::TokenNotPresent, Reinitialise),
            (Op::Connect, Function::GetSlotList, RvError::CryptokiNotInitialized, Reinitialise),
            (Op::Connect, Function::Login, RvError::PinIncorrect, Stop),
            (Op::Connect, Function::Login, RvError::PinLocked, Stop),
            (Op::Connect, Function::Login, RvError::PinExpired, Stop),
            (Op::Open, Function::Decrypt, RvError::GeneralError, Unreadable),
            (Op::Open, Function::Decrypt, RvError::EncryptedDataInvalid, Unreadable),
            (Op::Open, Function::Decrypt, RvError::UnknownErrorCode(0x35), Unreadable),
            (Op::Open, Function::DecryptInit, RvError::GeneralError, Reconnect),
            (Op::Open, Function::UnwrapKey, RvError::WrappedKeyInvalid, Unreadable),
            (Op::Open, Function::UnwrapKey, RvError::UnwrappingKeyHandleInvalid, FindAgain),
            (Op::Seal, Function::WrapKey, RvError::WrappingKeyHandleInvalid, FindAgain),
            (Op::Sign, Function::UnwrapKey, RvError::GeneralError, Unreadable),
            (Op::Sign, Function::Decrypt, RvError::GeneralError, Unreadable),
            (Op::Provision, Function::UnwrapKey, RvError::GeneralError, Reconnect),
            (Op::Open, Function::UnwrapKey, RvError::TemplateInconsistent, Unsupported),
            (Op::Seal, Function::Encrypt, RvError::GeneralError, Reconnect),
            (Op::Sign, Function::SignInit, RvError::MechanismInvalid, Unsupported),
            (Op::Seal, Function::EncryptInit, RvError::KeyFunctionNotPermitted, Unsupported),
            (Op::Provision, Function::GenerateKeyPair, RvError::TemplateInconsistent, Unsupported),
            (Op::Sign, Function::Sign, RvError::VendorDefined(0x8000_0001), GiveUp),
        ] {
            let answer = Answer::from(Pkcs11Error::Pkcs11(value, function));
            assert_eq!(decide(operation, &answer), decision, "{operation:?}: {answer}");
        }
    }

    #[test]
    fn a_function_that_a_module_does_not_have_is_a_capability() {
        for missing in [Pkcs11Error::NotSupported, Pkcs11Error::NullFunctionPointer] {
            let answer = Answer::from(missing);
            assert_eq!(decide(Operation::Sign, &answer), Decision::Unsupported, "{answer}");
        }
    }

    #[test]
    fn each_remedy_is_used_once_and_grows_stronger() {
        let mut budget = Budget::new(Operation::Sign);
        assert_eq!(budget.spend(Decision::FindAgain), Some(Decision::FindAgain));
        assert_eq!(budget.spend(Decision::FindAgain), Some(Decision::Reinitialise));
        assert_eq!(budget.spend(Decision::FindAgain), None);
        assert_eq!(budget.spend(Decision::Reconnect), Some(Decision::Reconnect));
        assert_eq!(budget.spend(Decision::Reconnect), None);
        let mut budget = Budget::new(Operation::Sign);
        assert_eq!(budget.spend(Decision::Reinitialise), Some(Decision::Reinitialise));
        assert_eq!(budget.spend(Decision::Reinitialise), None);
    }

    #[test]
    fn a_wrong_pin_and_a_creation_are_never_repeated() {
        assert_eq!(Budget::new(Operation::Connect).spend(Decision::Stop), None);
        for decision in [Decision::FindAgain, Decision::Reconnect, Decision::Reinitialise] {
            assert_eq!(Budget::new(Operation::Provision).spend(decision), None);
        }
    }
}
