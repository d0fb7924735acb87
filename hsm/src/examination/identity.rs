//! Which module and which token this is, and what the token says about itself.

use cryptoki::mechanism::MechanismType;
use cryptoki::slot::TokenInfo;
use serde::{Deserialize, Serialize};

use super::ExpectedKey;
use crate::module::ModuleUse;
use crate::recovery::Failure;
use crate::token::{Serving, find};
use crate::{Answer, Error, TokenConfig};

/// The PKCS#11 module's own description of itself (`C_GetInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Manufacturer.
    pub manufacturer: String,
    /// Description.
    pub description: String,
    /// Version of the module.
    pub version: String,
    /// Version of the PKCS#11 interface.
    pub cryptoki_version: String,
}

/// The token's own description of itself (`C_GetTokenInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFacts {
    /// Label.
    pub label: String,
    /// Serial number.
    pub serial: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Version of the hardware.
    pub hardware: String,
    /// Version of the firmware.
    pub firmware: String,
    /// Whether this is known to be software: its keys are in the memory of the process that loads it.
    pub software: bool,
    /// What an operator should know.
    pub flags: Vec<TokenFlag>,
}

/// A condition of the token (`CK_TOKEN_INFO.flags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenFlag {
    /// There is no user PIN.
    UserPinMissing,
    /// A wrong user PIN was tried since the last login.
    UserPinCountLow,
    /// The next wrong user PIN locks it.
    UserPinFinalTry,
    /// The user PIN is locked.
    UserPinLocked,
    /// The user PIN must be changed.
    UserPinToBeChanged,
    /// A wrong PIN of the security officer was tried since the last login.
    SoPinCountLow,
    /// The next wrong PIN of the security officer locks it.
    SoPinFinalTry,
    /// The PIN of the security officer is locked.
    SoPinLocked,
    /// Keys can be used without a login.
    NoLoginRequired,
    /// The token is in an error state.
    ErrorState,
}

/// Manufacturers, descriptions and models of tokens that are software, in lower case.
const SOFTWARE: [&str; 5] = ["softhsm", "kryoptic", "nss ", "mozilla", "soft token"];

/// Asks module and token without logging in.
pub(super) fn tell(config: &TokenConfig) -> Result<(Library, TokenFacts), Error> {
    let module = ModuleUse::acquire(&config.module);
    let (_, told) = module.with_running(|running| {
        let (_, info) = find(running, &config.uri)?;
        let library = running.context.get_library_info()?;
        let library = Library {
            manufacturer: library.manufacturer_id().to_owned(),
            description: library.library_description().to_owned(),
            version: library.library_version().to_string(),
            cryptoki_version: library.cryptoki_version().to_string(),
        };
        let facts = facts(&info, &library);
        Ok((library, facts))
    });
    told.map_err(|failure| match failure {
        Failure::Missing(error) | Failure::Final(error) => error,
        Failure::Answer(answer) => silent(config, answer),
    })
}

fn silent(config: &TokenConfig, answer: Answer) -> Error {
    Error::Unavailable(crate::Fault::caused_by(
        format!(
            "the token {} does not tell what it is: check that the token, its folder or its network connection is in \
             place",
            config.uri
        ),
        answer,
    ))
}

fn facts(info: &TokenInfo, library: &Library) -> TokenFacts {
    let names = [&library.manufacturer, &library.description, info.manufacturer_id(), info.model()]
        .map(str::to_lowercase);
    let flags = [
        (TokenFlag::UserPinMissing, !info.user_pin_initialized()),
        (TokenFlag::UserPinCountLow, info.user_pin_count_low()),
        (TokenFlag::UserPinFinalTry, info.user_pin_final_try()),
        (TokenFlag::UserPinLocked, info.user_pin_locked()),
        (TokenFlag::UserPinToBeChanged, info.user_pin_to_be_changed()),
        (TokenFlag::SoPinCountLow, info.so_pin_count_low()),
        (TokenFlag::SoPinFinalTry, info.so_pin_final_try()),
        (TokenFlag::SoPinLocked, info.so_pin_locked()),
        (TokenFlag::NoLoginRequired, !info.login_required()),
        (TokenFlag::ErrorState, info.error_state()),
    ];
    TokenFacts {
        label: info.label().to_owned(),
        serial: info.serial_number().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
        hardware: info.hardware_version().to_string(),
        firmware: info.firmware_version().to_string(),
        software: names.iter().any(|name| SOFTWARE.iter().any(|known| name.contains(known))),
        flags: flags.into_iter().filter_map(|(flag, set)| set.then_some(flag)).collect(),
    }
}

/// What the keys of ours cannot do without. What a token lists it need not be able to do, so the proof of each key
/// decides; this says early what will be missing.
pub(super) fn missing_mechanisms(
    serving: &Serving<'_>,
    keys: &[ExpectedKey],
) -> Result<Vec<String>, Failure> {
    let listed = serving.running.context.get_mechanism_list(serving.connection.slot())?;
    let lists = |mechanism| listed.contains(&mechanism);
    let mut missing = Vec::new();
    // Either kind of CA key will do.
    let signs = lists(MechanismType::ECDSA) || lists(MechanismType::RSA_PKCS);
    if keys.iter().any(|key| matches!(key, ExpectedKey::Signing { .. })) && !signs {
        missing.push(format!("{} or {}", MechanismType::ECDSA, MechanismType::RSA_PKCS));
    }
    // Either way of sealing will do.
    let wraps = lists(MechanismType::AES_KEY_WRAP_PAD);
    let seals = lists(MechanismType::AES_GCM) || wraps;
    if keys.iter().any(|key| matches!(key, ExpectedKey::Sealing { .. })) && !seals {
        missing.push(format!("{} or {}", MechanismType::AES_GCM, MechanismType::AES_KEY_WRAP_PAD));
    }
    if keys.iter().any(|key| matches!(key, ExpectedKey::Wrapping { .. })) && !wraps {
        missing.push(MechanismType::AES_KEY_WRAP_PAD.to_string());
    }
    Ok(missing)
}
