//! Paths of `vmafdd` about changing the sealing and wrapping keys.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Asking, Reject, on_blocking_thread};
use crate::access::ChangeKeys;
use crate::api::rewrap::{
    DESTROY_OLD, Damaged, DestroyedKey, Entries, Evidence, Phase, REWRAP, Rewrap, Sealed, Start,
};
use crate::vecs::{self, Vecs};

/// Tells the job that there is something to do; the daemon provides it.
pub type WakeRewrap = Arc<dyn Fn() + Send + Sync>;

type Answer = Result<Json<Rewrap>, Reject>;

#[derive(Clone)]
struct Rewrapping {
    vecs: Arc<Vecs>,
    wake: WakeRewrap,
}

pub(super) fn router(vecs: Arc<Vecs>, wake: WakeRewrap) -> Router {
    Router::new()
        .route(REWRAP, get(standing).post(begin))
        .route(DESTROY_OLD, post(destroy_old))
        .with_state(Rewrapping { vecs, wake })
}

async fn standing(State(state): State<Rewrapping>, Asking(caller): Asking) -> Answer {
    // It names stores and aliases, which not everybody may know.
    let _permit = caller.permit::<ChangeKeys>()?;
    answer(state.vecs).await
}

async fn begin(
    State(Rewrapping { vecs, wake }): State<Rewrapping>,
    Asking(caller): Asking,
    body: Result<Json<Start>, JsonRejection>,
) -> Answer {
    let permit = caller.permit::<ChangeKeys>()?;
    let Json(Start { keep_old }) = body?;
    let room = Arc::clone(&vecs);
    on_blocking_thread(move || room.begin_rewrap(&permit, keep_old)).await?;
    wake();
    answer(vecs).await
}

async fn destroy_old(
    State(Rewrapping { vecs, wake }): State<Rewrapping>,
    Asking(caller): Asking,
) -> Answer {
    let permit = caller.permit::<ChangeKeys>()?;
    let room = Arc::clone(&vecs);
    on_blocking_thread(move || room.destroy_old_keys(&permit)).await?;
    wake();
    answer(vecs).await
}

async fn answer(vecs: Arc<Vecs>) -> Answer {
    let (rewrap, inventory) = on_blocking_thread(move || vecs.rewrap()).await?;
    Ok(Json(on_the_wire(rewrap, inventory)))
}

fn on_the_wire(rewrap: Option<vecs::Rewrap>, inventory: Option<vecs::Inventory>) -> Rewrap {
    let inventory = inventory.map(|found| {
        let sealed = found.generations.into_iter();
        sealed.map(|(generation, entries)| Sealed { generation, entries }).collect()
    });
    let Some(rewrap) = rewrap else {
        return Rewrap {
            phase: Phase::Never,
            from: None,
            to: None,
            started_at: None,
            ended_at: None,
            keep_old: false,
            entries: Entries::default(),
            inventory,
            fault: None,
            damaged: Vec::new(),
            evidence: None,
        };
    };
    let damaged = rewrap.damaged.into_iter().map(|one| Damaged {
        store: one.store,
        alias: one.alias,
        reason: one.reason,
    });
    Rewrap {
        phase: match rewrap.phase {
            vecs::Phase::MakingKeys => Phase::MakingKeys,
            vecs::Phase::Resealing => Phase::Resealing,
            vecs::Phase::Destroying => Phase::Destroying,
            vecs::Phase::Blocked => Phase::Blocked,
            vecs::Phase::Kept => Phase::Kept,
            vecs::Phase::Done => Phase::Done,
        },
        from: Some(rewrap.from),
        to: rewrap.to,
        started_at: Some(rewrap.started_at),
        ended_at: rewrap.ended_at,
        keep_old: rewrap.keep_old,
        entries: Entries {
            before: rewrap.entries.before,
            resealed: rewrap.entries.resealed,
            deleted_old: rewrap.entries.deleted_old,
            left: rewrap.entries.left(),
            created: rewrap.entries.created,
            deleted_new: rewrap.entries.deleted_new,
        },
        inventory,
        fault: rewrap.fault,
        damaged: damaged.collect(),
        evidence: rewrap.evidence.map(evidence_on_the_wire),
    }
}

fn evidence_on_the_wire(evidence: vecs::Evidence) -> Evidence {
    let keys = evidence.keys.into_iter().map(|key| DestroyedKey {
        id: key.id,
        destroyed: key.destroyed,
        found_afterwards: key.found_afterwards,
        later_use: key.later_use,
    });
    Evidence {
        at: evidence.at,
        token_serial: evidence.token_serial,
        keys: keys.collect(),
        service_answer: evidence.service_answer,
    }
}
