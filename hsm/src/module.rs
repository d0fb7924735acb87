//! PKCS#11 modules: loaded once per process, initialised while somebody uses them, finalised only when no session is
//! in use.
//!
//! Finalising a module while a thread is inside it crashes the process, so every operation holds the module's read
//! guard from the first call to the last, and whoever finalises takes the write guard: it waits until the running
//! operations are through and keeps new ones waiting.
//!
//! A module is never unloaded: vendors' libraries leave threads and exit handlers behind.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::slot::{Slot, TokenInfo};

use crate::error::{Answer, Fault};
use crate::recovery::Failure;
use crate::sessions::Connection;
use crate::{AlarmKind, Error};

static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());
static SHUT_DOWN: AtomicBool = AtomicBool::new(false);
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A thread that panicked left the value behind as consistent as any other: each change below is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finalises every module, for the last lines of a process: closes all sessions, logs out, waits for running
/// operations. Afterwards every operation on a token answers Unavailable.
///
/// A process that exits with sessions open may crash in a vendor's exit handlers; SoftHSM's do.
pub fn shut_down() {
    SHUT_DOWN.store(true, Ordering::SeqCst);
    let modules: Vec<_> = lock(&MODULES).values().cloned().collect();
    for module in modules {
        module.stop(&mut module.write());
    }
}

pub(crate) struct Module {
    path: PathBuf,
    library: OnceLock<Pkcs11>,
    state: RwLock<Option<Running>>,
    users: Mutex<usize>,
    stopped: Mutex<HashMap<String, Stopped>>,
}

/// An initialised module. Lives until it is finalised; everything that refers to a session belongs to it.
pub(crate) struct Running {
    pub(crate) context: Pkcs11,
    generation: u64,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    told: Mutex<HashMap<u64, TokenInfo>>,
    admission: Mutex<()>,
}

/// Why a token is not used any more by this process, whoever asks.
#[derive(Clone)]
pub(crate) enum Stopped {
    /// The PIN was not accepted, and one more try could be the one that locks the token.
    Locked(Answer),
    /// The token gave a signature that does not verify.
    Quarantined(String),
}

impl Stopped {
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Locked(answer) => Error::Locked(Fault::caused_by(
                "the token did not accept the PIN, and it is not tried again: correct the PIN source, then restart \
                 the service",
                answer.clone(),
            )),
            Self::Quarantined(why) => {
                Error::Refused(Fault::from(quarantined(why)).alarming(AlarmKind::Quarantine))
            }
        }
    }
}

/// What the operator is told of a token in quarantine.
pub(crate) fn quarantined(why: &str) -> String {
    format!(
        "the token is in quarantine, nothing it signs is released: {why}. Find the cause, then restart the service"
    )
}

impl Running {
    pub(crate) fn connection(&self, number: u64) -> Option<Arc<Connection>> {
        lock(&self.connections).get(&number).cloned()
    }

    pub(crate) fn connect(&self, number: u64, connection: Arc<Connection>) {
        lock(&self.connections).insert(number, connection);
    }

    pub(crate) fn forget(&self, number: u64) {
        // Taken out first and dropped after the lock is free, because dropping calls into the module.
        let forgotten = lock(&self.connections).remove(&number);
        drop(forgotten);
    }

    /// Forgets this connection and not the one that another thread may have made since.
    pub(crate) fn forget_epoch(&self, number: u64, epoch: u64) {
        let forgotten: Vec<_> = lock(&self.connections)
            .extract_if(|of, connection| *of == number && connection.epoch() == epoch)
            .collect();
        drop(forgotten);
    }

    fn forget_token(&self, serial: &str) {
        let forgotten: Vec<_> = lock(&self.connections)
            .extract_if(|_, connection| connection.identity().serial == serial)
            .collect();
        drop(forgotten);
    }

    /// Every initialised token, with the slot that it is in.
    ///
    /// SoftHSM on a read-only folder stops telling what a token is once it is logged in (it fails to write its flags,
    /// and then distrusts its own copy of them), so what a slot told before in this generation stays known.
    pub(crate) fn tokens(&self) -> Result<Vec<(Slot, TokenInfo)>, Failure> {
        let mut told = lock(&self.told);
        let mut tokens = Vec::new();
        for slot in self.context.get_slots_with_token()? {
            match self.context.get_token_info(slot) {
                Ok(info) => {
                    told.insert(slot.id(), info);
                }
                // Another token's fault is not ours; ours is reported as absent if it never told anything.
                Err(error) => {
                    tracing::debug!(slot = slot.id(), error = %Answer::from(error), "a slot does not tell its token");
                }
            }
            if let Some(info) = told.get(&slot.id())
                && info.token_initialized()
            {
                tokens.push((slot, info.clone()));
            }
        }
        Ok(tokens)
    }

    /// The one guard around logins and key generation: SoftHSM 2.6.1 has races in both.
    pub(crate) fn admission(&self) -> MutexGuard<'_, ()> {
        lock(&self.admission)
    }
}

impl Module {
    fn write(&self) -> RwLockWriteGuard<'_, Option<Running>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` while the module cannot be finalised. Also tells the generation that it ran in; `None` if the
    /// module did not initialise.
    pub(crate) fn with_running<T>(
        &self,
        act: impl FnOnce(&Running) -> Result<T, Failure>,
    ) -> (Option<u64>, Result<T, Failure>) {
        loop {
            {
                let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(running) = &*state {
                    return (Some(running.generation), act(running));
                }
            }
            let mut state = self.write();
            if state.is_none()
                && let Err(failure) = self.start(&mut state)
            {
                return (None, Err(failure));
            }
        }
    }

    /// Like [`Self::with_running`], but does nothing if the module is not initialised.
    pub(crate) fn if_running<T>(&self, act: impl FnOnce(&Running) -> T) -> Option<T> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().map(act)
    }

    /// Runs `act` alone: no operation is running in this module, and none starts.
    pub(crate) fn exclusively<T>(
        &self,
        act: impl FnOnce(&Module, &mut Option<Running>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        act(self, &mut self.write())
    }

    /// Finalises and initialises again, unless another thread has done so since generation `seen`.
    pub(crate) fn reinitialise(&self, seen: Option<u64>) -> Result<(), Failure> {
        let mut state = self.write();
        let current = state.as_ref().map(|running| running.generation);
        if seen.is_some() && current.is_some() && current != seen {
            return Ok(());
        }
        self.restart(&mut state)
    }

    pub(crate) fn restart(&self, state: &mut Option<Running>) -> Result<(), Failure> {
        self.stop(state);
        self.start(state)
    }

    pub(crate) fn start(&self, state: &mut Option<Running>) -> Result<(), Failure> {
        if SHUT_DOWN.load(Ordering::SeqCst) {
            return Err(Failure::Final(Error::Unavailable(
                "this process is shutting down: no token is used any more".into(),
            )));
        }
        let context = self.library()?.clone();
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        *state = Some(Running {
            context,
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            connections: Mutex::default(),
            told: Mutex::default(),
            admission: Mutex::default(),
        });
        Ok(())
    }

    fn stop(&self, state: &mut Option<Running>) {
        let Some(running) = state.take() else { return };
        let Running { context, connections, .. } = running;
        // Sessions first: a session that is closed after C_Finalize could close somebody else's.
        drop(connections);
        if let Err(error) = context.finalize() {
            tracing::warn!(module = %self.path.display(), error = %Answer::from(error), "a PKCS#11 module did not finalise");
        }
    }

    fn library(&self) -> Result<&Pkcs11, Failure> {
        if let Some(library) = self.library.get() {
            return Ok(library);
        }
        let loaded = Pkcs11::new(&self.path).map_err(|error| {
            Failure::Final(Error::Unavailable(Fault::caused_by(
                format!(
                    "the PKCS#11 module {} cannot be loaded: install the vendor's module (Debian: softhsm2), or \
                     correct the path of the module",
                    self.path.display()
                ),
                Answer::from(error),
            )))
        })?;
        Ok(self.library.get_or_init(|| loaded))
    }

    /// Puts a token out of use for the rest of this process.
    pub(crate) fn stop_token(&self, serial: &str, why: Stopped) {
        lock(&self.stopped).entry(serial.to_owned()).or_insert(why);
    }

    pub(crate) fn stopped(&self, serial: &str) -> Option<Stopped> {
        lock(&self.stopped).get(serial).cloned()
    }

    /// Puts a token out of use and drops every connection to it.
    pub(crate) fn quarantine(&self, serial: &str, why: String) {
        tracing::error!(serial, why, "a token is put into quarantine");
        self.stop_token(serial, Stopped::Quarantined(why));
        self.if_running(|running| running.forget_token(serial));
    }
}

/// A share in a module. The module is finalised when the last share is dropped.
pub(crate) struct ModuleUse(Arc<Module>);

impl ModuleUse {
    pub(crate) fn acquire(path: &Path) -> Self {
        // Two spellings of one path must give one module, or one of them would finalise it under the other.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut modules = lock(&MODULES);
        let module = modules.entry(path.clone()).or_insert_with(|| {
            Arc::new(Module {
                path,
                library: OnceLock::new(),
                state: RwLock::default(),
                users: Mutex::default(),
                stopped: Mutex::default(),
            })
        });
        *lock(&module.users) += 1;
        Self(Arc::clone(module))
    }
}

impl Deref for ModuleUse {
    type Target = Module;

    fn deref(&self) -> &Module {
        &self.0
    }
}

impl Drop for ModuleUse {
    fn drop(&mut self) {
        let mut users = lock(&self.0.users);
        *users -= 1;
        if *users == 0 {
            self.0.stop(&mut self.0.write());
        }
    }
}
