//! What each return value is expected to lead to. `hsm/src/recovery.rs` is the code; this says the same once more.

use std::collections::BTreeSet;

use cryptoki::error::{Rv, RvError};

use RvError as V;

/// What to do next, as in `hsm/src/recovery.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    FindAgain,
    Reconnect,
    Reinitialise,
    Stop,
    Unreadable,
    Unsupported,
    GiveUp,
}

/// Whatever was asked.
pub(super) const VALUES: [(RvError, Decision); 31] = [
    (V::ObjectHandleInvalid, Decision::FindAgain),
    (V::KeyHandleInvalid, Decision::FindAgain),
    (V::WrappingKeyHandleInvalid, Decision::FindAgain),
    (V::UnwrappingKeyHandleInvalid, Decision::FindAgain),
    (V::SessionHandleInvalid, Decision::Reconnect),
    (V::SessionClosed, Decision::Reconnect),
    (V::OperationActive, Decision::Reconnect),
    (V::OperationNotInitialized, Decision::Reconnect),
    (V::UserNotLoggedIn, Decision::Reconnect),
    (V::GeneralError, Decision::Reconnect),
    (V::DeviceError, Decision::Reinitialise),
    (V::DeviceRemoved, Decision::Reinitialise),
    (V::TokenNotPresent, Decision::Reinitialise),
    (V::TokenNotRecognized, Decision::Reinitialise),
    (V::SlotIdInvalid, Decision::Reinitialise),
    (V::FunctionFailed, Decision::Reinitialise),
    (V::CryptokiNotInitialized, Decision::Reinitialise),
    (V::PinIncorrect, Decision::Stop),
    (V::PinLocked, Decision::Stop),
    (V::PinExpired, Decision::Stop),
    (V::PinInvalid, Decision::Stop),
    (V::PinLenRange, Decision::Stop),
    (V::UserPinNotInitialized, Decision::Stop),
    (V::HostMemory, Decision::GiveUp),
    (V::DeviceMemory, Decision::GiveUp),
    (V::SessionCount, Decision::GiveUp),
    (V::FunctionCanceled, Decision::GiveUp),
    (V::TokenWriteProtected, Decision::GiveUp),
    (V::CryptokiAlreadyInitialized, Decision::GiveUp),
    (V::VendorDefined(0x8000_0001), Decision::GiveUp),
    (V::UnknownErrorCode(0x7f0), Decision::GiveUp),
];

/// Where sealed data is opened, these say that it does not open.
pub(super) const BAD_DATA: [RvError; 10] = [
    V::GeneralError,
    V::DeviceError,
    V::FunctionFailed,
    V::EncryptedDataInvalid,
    V::EncryptedDataLenRange,
    V::DataInvalid,
    V::DataLenRange,
    V::WrappedKeyInvalid,
    V::WrappedKeyLenRange,
    // CKR_AEAD_DECRYPT_FAILED.
    V::UnknownErrorCode(0x35),
];

/// Capabilities, in the starting table of the project. All values that are named nowhere mean the same.
pub(super) const CAPABILITIES: [RvError; 3] =
    [V::MechanismInvalid, V::TemplateInconsistent, V::KeyFunctionNotPermitted];

/// What is expected where this function answers this. `opens`: sealed data is opened by it.
pub(super) fn expected(opens: bool, value: RvError) -> Decision {
    if opens && BAD_DATA.contains(&value) {
        return Decision::Unreadable;
    }
    let known = VALUES.iter().find(|(known, _)| *known == value);
    match (known, value) {
        (Some((_, decision)), _) => *decision,
        (None, V::VendorDefined(_) | V::UnknownErrorCode(_)) => Decision::GiveUp,
        (None, _) => Decision::Unsupported,
    }
}

/// The number of a return value.
pub(super) fn code(value: RvError) -> u64 {
    match value {
        V::VendorDefined(code) | V::UnknownErrorCode(code) => code,
        value => (1..0x1000)
            .find(|code| matches!(Rv::from(*code), Rv::Error(of) if of == value))
            .unwrap(),
    }
}

/// Every return value that the standard has a name for, and that `VALUES` has not.
pub(super) fn others() -> Vec<RvError> {
    let named = |code| match Rv::from(code) {
        Rv::Error(V::UnknownErrorCode(_)) | Rv::Ok => None,
        Rv::Error(value) => Some(value),
    };
    let others = (1..0x1000).filter_map(named);
    // A buffer that is too small is asked for again by `cryptoki` itself.
    others.filter(|value| VALUES.iter().all(|(known, _)| known != value)).collect()
}

/// Names that follow one of these in the code of the table.
fn names(code: &str, of: &str) -> BTreeSet<String> {
    let behind = code.match_indices(of).map(|(at, _)| &code[at + of.len()..]);
    let name = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    behind.map(name).filter(|name: &String| name.starts_with(char::is_uppercase)).collect()
}

#[test]
fn every_value_that_the_code_names_has_its_rows_and_no_other() {
    let source = include_str!("../../../src/recovery.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let body = code.split("fn decide(").nth(1).unwrap();
    let (decide, data) = body.split_once("fn is_bad_data(").unwrap();
    let name = |value: &RvError| format!("{value:?}").split('(').next().unwrap().to_owned();
    let ours: BTreeSet<_> = VALUES.iter().map(|(value, _)| name(value)).collect();
    assert_eq!(names(decide, "Rv::"), ours, "decide");
    let ours: BTreeSet<_> = BAD_DATA.iter().map(name).collect();
    assert_eq!(names(data.split("\n}").next().unwrap(), "RvError::"), ours, "is_bad_data");
    assert!(code.contains("const AEAD_DECRYPT_FAILED: u64 = 0x35;"));

    // A decision or an operation that is new has no rows either.
    let variants = |of: &str| -> BTreeSet<String> {
        let body =
            code.split(&format!("enum {of} {{")).nth(1).unwrap().split("\n}").next().unwrap();
        let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        lines
            .map(|line| line.trim_end_matches(',').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let decisions = [
        Decision::FindAgain,
        Decision::Reconnect,
        Decision::Reinitialise,
        Decision::Stop,
        Decision::Unreadable,
        Decision::Unsupported,
        Decision::GiveUp,
    ];
    assert_eq!(variants("Decision"), decisions.map(|one| format!("{one:?}")).into());
    let operations: BTreeSet<_> =
        super::rows::PLACES.iter().map(|place| format!("{:?}", place.operation)).collect();
    assert_eq!(variants("Operation"), operations);
}
