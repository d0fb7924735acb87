//! A token in service: connects on first use, logs in once, and comes back after an outage without a restart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cryptoki::context::Function;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use crate::error::{Answer, Fault};
use crate::module::{Module, ModuleUse, Running, Stopped, lock};
use crate::recovery::{Budget, Decision, Failure, Operation, decide};
use crate::sealing::SealingKeys;
use crate::sessions::{Access, Connection, open, random_into};
use crate::signing::SigningKey;
use crate::{
    AlarmKind, Error, KeyGeneration, KeyReference, Pin, TokenConfig, TokenIdentity, TokenUri,
};

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A token in service: logged in once, read-only sessions. Connects on first use and again after an outage.
///
/// It never logs out while it serves: a logout belongs to the whole process and kills every key handle.
pub(crate) struct Token {
    config: TokenConfig,
    access: Access,
    remedies: Remedies,
    /// See [`Token::is_worn`].
    worn: AtomicBool,
    number: u64,
    module: OnceLock<ModuleUse>,
    seen: Mutex<Option<TokenIdentity>>,
    kept_pin: Mutex<Option<Pin>>,
    /// An earlier process ended while it logged in.
    login_in_doubt: AtomicBool,
}

/// How far a token may go to bring its module back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedies {
    /// The module is finalised and initialised again in this process.
    InPlace,
    /// New sessions and logins only. Whatever needs more is left to a fresh process.
    FreshProcess,
}

/// One attempt at an operation: a logged-in session that nobody else has.
pub(crate) struct Serving<'a> {
    pub(crate) running: &'a Running,
    pub(crate) connection: &'a Connection,
    pub(crate) session: &'a Session,
}

impl Token {
    /// Connects to nothing: a token that is absent today may be there tomorrow, and the service stays up meanwhile.
    pub(crate) fn new(config: TokenConfig, access: Access, remedies: Remedies) -> Self {
        Self {
            config,
            access,
            remedies,
            worn: AtomicBool::new(false),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            module: OnceLock::new(),
            seen: Mutex::default(),
            kept_pin: Mutex::default(),
            login_in_doubt: AtomicBool::new(false),
        }
    }

    /// Tells the token what an earlier process knows: which token it saw, a PIN whose source answers only once, and
    /// whether a login of its own was never answered.
    pub(crate) fn remember(
        &self,
        seen: Option<TokenIdentity>,
        pin: Option<Pin>,
        login_in_doubt: bool,
    ) {
        self.login_in_doubt.store(login_in_doubt, Ordering::Relaxed);
        *lock(&self.seen) = seen;
        *lock(&self.kept_pin) = pin;
    }

    /// Whether only a fresh process helps. Never true where the remedies are in place.
    pub(crate) fn is_worn(&self) -> bool {
        self.worn.load(Ordering::Relaxed)
    }

    /// Identity as last seen; `None` before the first connection.
    pub(crate) fn identity(&self) -> Option<TokenIdentity> {
        lock(&self.seen).clone()
    }

    /// A signing key in this token. Nothing is looked up before its first use.
    pub(crate) fn signing_key(self: &Arc<Self>, key: KeyReference) -> SigningKey {
        SigningKey::new(Arc::clone(self), key)
    }

    /// The sealing keys of one generation in this token. Nothing is looked up before their first use.
    pub(crate) fn sealing_keys(self: &Arc<Self>, generation: KeyGeneration) -> SealingKeys {
        SealingKeys::new(Arc::clone(self), generation)
    }

    /// Fills `octets` from the token's random number generator (`C_GenerateRandom`).
    pub(crate) fn random(&self, octets: &mut [u8]) -> Result<(), Error> {
        self.operate(Operation::Connect, |serving| random_into(serving.session, octets))
    }

    /// Waits for running operations, finalises and initialises the module again, logs in: keys made by another
    /// process become visible, and a token that was moved away and back is seen again.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        if self.remedies == Remedies::FreshProcess {
            self.worn.store(true, Ordering::Relaxed);
            return Ok(());
        }
        match self.module().reinitialise(None) {
            Ok(()) => self.check().map(drop),
            Err(failure) => Err(self.report(Operation::Connect, failure)),
        }
    }

    /// A live check: connected, logged in, a session answers, and it is still the same token. Connects if need be.
    ///
    /// A software token may answer from memory after its folder is gone; `check` of a key asks for more.
    pub(crate) fn check(&self) -> Result<TokenIdentity, Error> {
        self.operate(Operation::Connect, |serving| {
            let state = serving.session.get_session_info()?.session_state();
            if !matches!(state, SessionState::RoUser | SessionState::RwUser) {
                let logged_out =
                    Pkcs11Error::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo);
                return Err(logged_out.into());
            }
            random_into(serving.session, &mut [0; 1])?;
            let known = serving.connection.identity();
            let (context, slot) = (&serving.running.context, serving.connection.slot());
            match context.get_token_info(slot) {
                Ok(info) if identity_of(&info) == *known => Ok(known.clone()),
                Ok(_) => Err(Failure::Missing(absent(&self.config.uri))),
                // SoftHSM's answer about any token on a read-only folder that is logged in.
                Err(Pkcs11Error::Pkcs11(RvError::GeneralError, _)) => Ok(known.clone()),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Runs `act` with a session, and once more after each remedy that the recovery table names.
    pub(crate) fn operate<T>(
        &self,
        operation: Operation,
        mut act: impl FnMut(&Serving<'_>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let module = self.module();
        let mut budget = Budget::new(operation);
        loop {
            let mut epoch = None;
            let (generation, outcome) = module.with_running(|running| {
                let connection = self.connection(module, running)?;
                epoch = Some(connection.epoch());
                let checked_out = connection.check_out()?;
                let session = checked_out.session();
                let outcome = act(&Serving { running, connection: &connection, session });
                if outcome.is_ok() {
                    checked_out.put_back();
                }
                outcome
            });
            let failure = match outcome {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let decision = match &failure {
                Failure::Answer(answer) => decide(operation, answer),
                Failure::Missing(_) => Decision::Reinitialise,
                Failure::Final(_) => return Err(self.report(operation, failure)),
            };
            let Some(remedy) = budget.spend(decision) else {
                return Err(self.report(operation, failure));
            };
            if remedy == Decision::Reinitialise && self.remedies == Remedies::FreshProcess {
                self.worn.store(true, Ordering::Relaxed);
                return Err(self.report(operation, failure));
            }
            tracing::warn!(token = %self.config.uri, ?operation, ?failure, ?remedy, "a token operation is tried again");
            match remedy {
                Decision::Reconnect => {
                    if let Some(epoch) = epoch {
                        module.if_running(|running| running.forget_epoch(self.number, epoch));
                    }
                }
                Decision::Reinitialise => {
                    if let Err(failure) = module.reinitialise(generation) {
                        return Err(self.report(operation, failure));
                    }
                }
                // The act forgets its dead handle by itself.
                _ => {}
            }
        }
    }

    pub(crate) fn quarantine(&self, why: String) -> Error {
        let module = self.module();
        let serial = self.identity().map(|identity| identity.serial);
        module.quarantine(serial.as_deref().unwrap_or_default(), why.clone());
        Stopped::Quarantined(why).error()
    }

    fn module(&self) -> &Module {
        self.module.get_or_init(|| ModuleUse::acquire(&self.config.module))
    }

    /// The connection that is there, or a new one. One guard for all, so that a token is logged in once.
    fn connection(&self, module: &Module, running: &Running) -> Result<Arc<Connection>, Failure> {
        if let Some(connection) = running.connection(self.number) {
            return Ok(connection);
        }
        let _guard = running.admission();
        if let Some(connection) = running.connection(self.number) {
            return Ok(connection);
        }
        let (slot, info) = find(running, &self.config.uri)?;
        let identity = self.same_as_before(identity_of(&info))?;
        if let Some(stopped) = module.stopped(&identity.serial) {
            return Err(Failure::Final(stopped.error()));
        }
        let session = open(&running.context, slot, self.access)?;
        self.log_in(module, &session, &info)?;
        let connection = Arc::new(Connection::new(
            running.context.clone(),
            slot,
            self.access,
            identity,
            session,
            info.max_session_count(),
        ));
        running.connect(self.number, Arc::clone(&connection));
        Ok(connection)
    }

    /// Refuses a token that took the place of the one seen first: it must not even be sent the PIN.
    fn same_as_before(&self, identity: TokenIdentity) -> Result<TokenIdentity, Failure> {
        let mut seen = lock(&self.seen);
        match &*seen {
            // Missing, because an old view of the slots may show a token that is gone by now.
            Some(before) if before.serial != identity.serial => Err(Failure::Missing(Error::Refused(
                Fault::from(format!(
                    "another token has taken the place of {}: serial number {} was seen before, now it is {}. Bring \
                     the first token back, or restart the service if the change is meant",
                    self.config.uri, before.serial, identity.serial
                ))
                .alarming(AlarmKind::Replaced),
            ))),
            _ => {
                *seen = Some(identity.clone());
                Ok(identity)
            }
        }
    }

    fn log_in(&self, module: &Module, session: &Session, info: &TokenInfo) -> Result<(), Failure> {
        if info.user_pin_locked() || info.user_pin_final_try() {
            return Err(Failure::Final(Error::Locked(
                format!(
                    "the user PIN of {} is locked or has one try left, so it is not tried: log in once with the \
                     vendor's tool, or reset the PIN as security officer, then restart the service",
                    self.config.uri
                )
                .into(),
            )));
        }
        // The try that nobody heard the end of may have been the one that the token counted.
        if info.user_pin_count_low() && self.login_in_doubt.load(Ordering::Relaxed) {
            return Err(Failure::Final(Error::Locked(
                format!(
                    "a login to {} was never answered, and the token says that a wrong PIN was tried, so it is not \
                     tried again: correct the PIN source if need be, log in once with the vendor's tool, then restart \
                     the service",
                    self.config.uri
                )
                .into(),
            )));
        }
        let mut kept = lock(&self.kept_pin);
        let pin = match kept.take() {
            Some(pin) => pin,
            None => self.config.pin.read()?,
        };
        let auth = AuthPin::from(pin.expose_secret());
        let fault = match session.login(UserType::User, Some(&auth)) {
            // Login belongs to the process, not to the session: somebody was here before.
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                self.login_in_doubt.store(false, Ordering::Relaxed);
                None
            }
            Err(error) => Some(Answer::from(error)),
        };
        if let Some(answer) = &fault
            && decide(Operation::Connect, answer) == Decision::Stop
        {
            let stopped = Stopped::Locked(answer.clone());
            let error = stopped.error();
            module.stop_token(&identity_of(info).serial, stopped);
            return Err(Failure::Final(error));
        }
        // Also after a fault of the token: such a source does not answer a second time.
        if !self.config.pin.is_repeatable() {
            *kept = Some(pin);
        }
        fault.map_or(Ok(()), |answer| Err(Failure::Answer(answer)))
    }

    /// The error for the caller, with a sentence for the operator.
    fn report(&self, operation: Operation, failure: Failure) -> Error {
        let answer = match failure {
            Failure::Answer(answer) => answer,
            Failure::Missing(error) | Failure::Final(error) => return error,
        };
        let uri = &self.config.uri;
        let act = match operation {
            Operation::Connect => "answer",
            Operation::Sign => "sign",
            Operation::Seal => "seal data",
            Operation::Open => "open sealed data",
            Operation::Provision => "create or change keys",
        };
        match decide(operation, &answer) {
            Decision::Unreadable => Error::Unreadable(Fault::caused_by(
                "the sealed data does not open: it was changed or cut short, or it was sealed for another place",
                answer,
            )),
            Decision::Unsupported => Error::Unsupported(Fault::caused_by(
                format!(
                    "the token {uri} cannot {act} in this way: use another kind of key or another token"
                ),
                answer,
            )),
            Decision::Stop => Stopped::Locked(answer).error(),
            _ => Error::Unavailable(Fault::caused_by(
                format!(
                    "the token {uri} does not {act}: check that the token, its folder or its network connection is \
                     in place; it is tried again at the next request"
                ),
                answer,
            )),
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(module) = self.module.get() {
            module.if_running(|running| running.forget(self.number));
        }
    }
}

/// The one token that the URI selects.
pub(crate) fn find(running: &Running, uri: &TokenUri) -> Result<(Slot, TokenInfo), Failure> {
    let mut found = running.tokens()?;
    let of_that_label = TokenUri { serial: None, ..uri.clone() };
    let other = found.iter().map(|(_, info)| identity_of(info)).find(|identity| {
        uri.serial.is_some() && of_that_label.selects(identity) && !uri.selects(identity)
    });
    found.retain(|(_, info)| uri.selects(&identity_of(info)));
    if found.len() > 1 {
        let serials: Vec<_> = found.iter().map(|(_, info)| info.serial_number()).collect();
        return Err(Failure::Final(Error::Refused(
            format!(
                "{uri} selects {} tokens, with the serial numbers {}: add serial= to select one",
                found.len(),
                serials.join(", ")
            )
            .into(),
        )));
    }
    found.pop().ok_or_else(|| {
        Failure::Missing(other.map_or_else(|| absent(uri), |other| exchanged(uri, &other.serial)))
    })
}

pub(crate) fn identity_of(info: &TokenInfo) -> TokenIdentity {
    TokenIdentity {
        label: info.label().to_owned(),
        serial: info.serial_number().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
    }
}

/// The label is there, the serial number is not: somebody put another token in the place of ours.
fn exchanged(uri: &TokenUri, serial: &str) -> Error {
    Error::Refused(
        Fault::from(format!(
            "no token answers to {uri}, but one with the same label and the serial number {serial}: it is not used. \
             Bring the right token back, or name the new serial number if the change is meant"
        ))
        .alarming(AlarmKind::Replaced),
    )
}

fn absent(uri: &TokenUri) -> Error {
    Error::Unavailable(
        format!(
            "no token answers to {uri}: check that it is plugged in, that its folder is in place (SOFTHSM2_CONF for \
             SoftHSM), and that label and serial number are right"
        )
        .into(),
    )
}
