//! Paths of `vmafdd`.

mod keys;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use zeroize::Zeroizing;

use crate::access::ManageStores;
use crate::api::vecs::{
    ChangePermission, Created, Deleted, Entry, EntryKey, EntryType, GENERATIONS, Generation, Grant,
    NewEntry, NewStore, Permissions, REFRESH, Right, STORES,
};
use crate::api::{HEALTH, Health, KeyText, Kind, Problem};
use crate::base::{Secret, Service};
use crate::http::{Asking, Reject, Shared, on_blocking_thread, token};
use crate::vecs::{self, Alias, EntryKind, Principal, StoreName, Vecs};

/// Runs one refresh cycle now and returns when it has ended; the daemon's job provides it.
pub type RefreshNow = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

type Answer<T> = Result<Json<T>, Reject>;
type Body<T> = Result<Json<T>, JsonRejection>;
type InPath<T> = Result<Path<T>, PathRejection>;

/// The word for everyone; a user of that name in other case is a user.
const EVERYONE: &str = "EVERYONE";

/// The routes of `vmafdd`.
pub fn router(vecs: Arc<Vecs>, refresh: RefreshNow, rewrap: crate::http::WakeRewrap) -> Router {
    // Everybody may ask, and the token works for the answer.
    let standing = Shared::new();
    Router::new()
        .route(STORES, get(stores).post(create_store))
        .route("/v1/stores/{store}", delete(delete_store))
        .route("/v1/stores/{store}/permissions", get(permissions).post(change_permission))
        .route("/v1/stores/{store}/entries", get(entries).post(create_entry))
        .route("/v1/stores/{store}/entries/{alias}", get(entry).delete(delete_entry))
        .route("/v1/stores/{store}/entries/{alias}/key", post(entry_key))
        .route("/v1/stores/{store}/entries/{alias}/signature", post(keys::sign))
        .route("/v1/stores/{store}/pending", post(keys::generate))
        .route("/v1/stores/{store}/pending/{ticket}", post(keys::complete).delete(keys::abandon))
        .route(GENERATIONS, get(generations).post(ensure_keys))
        .with_state(Arc::clone(&vecs))
        .merge(crate::http::rewrap::router(Arc::clone(&vecs), rewrap))
        .route(HEALTH, get(move || health(vecs, standing)))
        .route(REFRESH, post(move |asking: Asking| refresh_now(asking, refresh)))
}

async fn health(vecs: Arc<Vecs>, shared: Arc<Shared<Health>>) -> Answer<Health> {
    Ok(Json(shared.ask(move || Ok(health_of(vecs.standing()))).await?))
}

fn health_of(standing: vecs::Standing) -> Health {
    let judged = |fault: bool| match fault {
        false => crate::api::State::Ok,
        true => crate::api::State::Degraded,
    };
    let faults: Vec<&str> = [&standing.token_fault, &standing.rewrap_fault]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let degraded = !faults.is_empty();
    Health {
        detail: if faults.is_empty() { standing.note } else { Some(faults.join("; ")) },
        token: token::health(
            standing.token.map(|token| (token.label, token.serial)),
            standing.token_fault,
            standing.alarm.map(|alarm| (alarm.kind, alarm.what)),
        ),
        ..Health::new(Service::Vmafdd, judged(degraded))
    }
}

async fn stores(State(vecs): State<Arc<Vecs>>, _asking: Asking) -> Answer<Vec<String>> {
    let names = on_blocking_thread(move || vecs.stores()).await?;
    Ok(Json(names.iter().map(ToString::to_string).collect()))
}

async fn create_store(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    body: Body<NewStore>,
) -> Answer<()> {
    let Json(new) = body?;
    on_blocking_thread(move || vecs.create_store(&caller, &StoreName::new(&new.name)?)).await?;
    Ok(Json(()))
}

async fn delete_store(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
) -> Answer<()> {
    let name = in_path(path)?;
    on_blocking_thread(move || vecs.owned(&caller, &StoreName::new(&name)?)?.delete()).await?;
    Ok(Json(()))
}

async fn permissions(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
) -> Answer<Permissions> {
    let name = in_path(path)?;
    on_blocking_thread(move || {
        let found = vecs.owned(&caller, &StoreName::new(&name)?)?.permissions()?;
        Ok::<_, vecs::Error>(Json(Permissions {
            owner: name_of_user(found.owner),
            grants: found
                .grants
                .into_iter()
                .map(|(principal, rights)| Grant {
                    user: match principal {
                        Principal::Everyone => EVERYONE.to_owned(),
                        Principal::User(uid) => name_of_user(uid),
                    },
                    rights: rights.into_iter().map(right_on_the_wire).collect(),
                })
                .collect(),
        }))
    })
    .await
}

async fn change_permission(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
    body: Body<ChangePermission>,
) -> Answer<()> {
    let name = in_path(path)?;
    let Json(change) = body?;
    on_blocking_thread(move || {
        let store = vecs.owned(&caller, &StoreName::new(&name)?)?;
        let right = match change.right {
            Right::Read => vecs::Right::Read,
            Right::Write => vecs::Right::Write,
            Right::ReadKey => vecs::Right::ReadKey,
        };
        store.change(principal(&change.user)?, right, change.grant)
    })
    .await?;
    Ok(Json(()))
}

async fn entries(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
) -> Answer<Vec<Entry>> {
    let name = in_path(path)?;
    let found =
        on_blocking_thread(move || vecs.readable(&caller, &StoreName::new(&name)?)?.entries())
            .await?;
    Ok(Json(found.into_iter().map(entry_on_the_wire).collect()))
}

async fn create_entry(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<String>,
    body: Body<NewEntry>,
) -> Answer<Created> {
    let name = in_path(path)?;
    let Json(new) = body?;
    let alias = on_blocking_thread(move || {
        let store = vecs.writable(&caller, &StoreName::new(&name)?)?;
        let key = new.key.map(|key| Secret::copy_of(key.expose_secret().as_bytes()));
        store.create(vecs::NewEntry::read(
            new.alias.as_deref(),
            new.certificates.as_deref(),
            key.as_ref(),
        )?)
    })
    .await?;
    Ok(Json(Created { alias: alias.to_string() }))
}

async fn entry(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
) -> Answer<Entry> {
    let (name, alias) = in_path(path)?;
    let found = on_blocking_thread(move || {
        vecs.readable(&caller, &StoreName::new(&name)?)?.entry(&Alias::new(&alias)?)
    })
    .await?;
    Ok(Json(entry_on_the_wire(found)))
}

async fn delete_entry(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
) -> Answer<Deleted> {
    let (name, alias) = in_path(path)?;
    let existed = on_blocking_thread(move || {
        vecs.writable(&caller, &StoreName::new(&name)?)?.delete(&Alias::new(&alias)?)
    })
    .await?;
    Ok(Json(Deleted { existed }))
}

async fn entry_key(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
    path: InPath<(String, String)>,
) -> Answer<EntryKey> {
    let (name, alias) = in_path(path)?;
    let secret = on_blocking_thread(move || {
        vecs.readable_key(&caller, &StoreName::new(&name)?, &Alias::new(&alias)?)?.open()
    })
    .await?;
    let text = std::str::from_utf8(secret.expose_secret()).map_err(|_| {
        Reject(Problem {
            kind: Kind::Internal,
            code: 90101,
            detail: "the stored key is no text; delete the entry and create it again".to_owned(),
        })
    })?;
    Ok(Json(EntryKey { key: KeyText::new(Zeroizing::new(text.to_owned())) }))
}

async fn generations(State(vecs): State<Arc<Vecs>>) -> Answer<Vec<Generation>> {
    let found = on_blocking_thread(move || vecs.generations()).await?;
    Ok(Json(found.into_iter().map(generation_on_the_wire).collect()))
}

async fn ensure_keys(
    State(vecs): State<Arc<Vecs>>,
    Asking(caller): Asking,
) -> Answer<Vec<Generation>> {
    caller.permit::<ManageStores>()?;
    let found = on_blocking_thread(move || {
        vecs.ensure_keys()?;
        vecs.generations()
    })
    .await?;
    Ok(Json(found.into_iter().map(generation_on_the_wire).collect()))
}

async fn refresh_now(Asking(caller): Asking, refresh: RefreshNow) -> Answer<()> {
    caller.permit::<ManageStores>()?;
    on_blocking_thread(move || refresh()).await?;
    Ok(Json(()))
}

fn in_path<T>(path: InPath<T>) -> Result<T, Reject> {
    path.map(|Path(parts)| parts).map_err(|rejection| {
        Reject(Problem { kind: Kind::Invalid, code: 87, detail: rejection.body_text() })
    })
}

fn name_of_user(uid: u32) -> String {
    uzers::get_user_by_uid(uid)
        .and_then(|user| user.name().to_str().map(str::to_owned))
        .unwrap_or_else(|| uid.to_string())
}

/// A user by name, or by number where the system has forgotten the name.
fn principal(user: &str) -> Result<Principal, vecs::Error> {
    if user == EVERYONE {
        return Ok(Principal::Everyone);
    }
    uzers::get_user_by_name(user)
        .map(|found| found.uid())
        .or_else(|| user.parse().ok())
        .map(Principal::User)
        .ok_or_else(|| {
            vecs::Error::Invalid(format!(
                "this system knows no user '{user}'; give a login name or {EVERYONE}"
            ))
        })
}

const fn right_on_the_wire(right: vecs::Right) -> Right {
    match right {
        vecs::Right::Read => Right::Read,
        vecs::Right::Write => Right::Write,
        vecs::Right::ReadKey => Right::ReadKey,
    }
}

fn generation_on_the_wire(row: vecs::GenerationRow) -> Generation {
    Generation {
        number: row.number,
        state: row.state.word().to_owned(),
        sealing: row.sealing.to_string(),
        wrapping: row.wrapping.map(|id| id.to_string()),
        created_at: row.created_at,
        retired_at: row.retired_at,
        destroyed_at: row.destroyed_at,
        seals: row.seals,
    }
}

fn entry_on_the_wire(entry: vecs::Entry) -> Entry {
    Entry {
        alias: entry.alias.to_string(),
        entry_type: match entry.kind {
            EntryKind::PrivateKey => EntryType::PrivateKey,
            EntryKind::SecretKey => EntryType::SecretKey,
            EntryKind::TrustedCert => EntryType::TrustedCert,
            EntryKind::Crl => EntryType::Crl,
        },
        pem: entry.pem,
    }
}

impl From<vecs::Error> for Problem {
    fn from(error: vecs::Error) -> Self {
        let problem = quiet_problem(&error);
        if matches!(problem.kind, Kind::Unavailable | Kind::Internal) {
            tracing::error!("{}", problem.detail);
        }
        problem
    }
}

/// The same without a line in the log.
fn quiet_problem(error: &vecs::Error) -> Problem {
    let kind = match error {
        vecs::Error::Invalid(_)
        | vecs::Error::Material(_)
        | vecs::Error::KeyMismatch
        | vecs::Error::NotDone(_) => Kind::Invalid,
        vecs::Error::Denied(_) => Kind::Denied,
        vecs::Error::NotFound(_) => Kind::NotFound,
        vecs::Error::Exists(_) | vecs::Error::Limit(_) | vecs::Error::KeyChanged => Kind::Conflict,
        vecs::Error::Token(_)
        | vecs::Error::TokenReplaced(_)
        | vecs::Error::NoKeys
        | vecs::Error::NoWrappingKey
        | vecs::Error::NothingPublished
        | vecs::Error::Store(_) => Kind::Unavailable,
        vecs::Error::UnknownKeys(_) | vecs::Error::Unreadable { .. } => Kind::Internal,
    };
    Problem { kind, code: error.code(), detail: error.sentence() }
}
