//! The end of the old keys, and what shows it.

use serde_json::json;

use super::{Evidence, JOB, KeyEvidence, Phase, RewrapRow, evidence};
use crate::base::{UnixTime, sentences};
use crate::journal::Outcome;
use crate::store;
use crate::vecs::generations::{CHECK_CONTEXT, GenerationRow, GenerationState};
use crate::vecs::stores::Note;
use crate::vecs::{Destruction, Error, Vecs, records};

/// What came of opening something with keys that are destroyed.
enum Opened {
    /// The token's refusal, as it should be.
    Refused(String),
    Still,
}

/// The record of a destruction.
pub(super) fn note(at: UnixTime, generation: u32) -> Note {
    Note::new(at, JOB, "sealing-keys.destroy", format!("generation:{generation}"))
}

impl Vecs {
    /// Can be done again after a crash at any point: keys that are gone stay gone.
    pub(super) fn destroy_generation(&self, row: &RewrapRow) -> Result<(), Error> {
        let (id, from) = (row.id, row.from);
        let (old, check) = self.store.read(|tx| {
            Ok::<_, store::Error>((records::generation(tx, from)?, records::check_value(tx, from)?))
        })?;
        let old = old
            .filter(|old| old.state == GenerationState::Retiring)
            .ok_or_else(|| store::Error::Content("old keys that are not retiring".to_owned()))?;
        let mut evidence = match &row.evidence {
            Some(kept) => evidence(kept)?,
            None => self.tell_the_token(id, &old)?,
        };
        evidence.service_answer = match self.try_to_open(&old, check.as_deref())? {
            Opened::Refused(answer) => answer,
            Opened::Still => return Err(self.still_there(id, &old, &evidence)?),
        };
        let at = self.clock.now();
        self.store.write(move |tx| {
            if !records::mark_destroyed(tx, from, at)? {
                return Err(Error::from(store::Error::Content(
                    "entries under keys that are destroyed".to_owned(),
                )));
            }
            records::forget_check_value(tx, from)?;
            records::set_evidence(tx, id, Some(&in_json(&evidence)))?;
            records::set_phase(tx, id, Phase::Done, Some(at), None)?;
            note(at, from).append(tx, Outcome::Done, json!({"evidence": evidence}))?;
            Ok(())
        })
    }

    /// The evidence is in the records before anything else is done: the token says it only once.
    fn tell_the_token(&self, id: i64, old: &GenerationRow) -> Result<Evidence, Error> {
        let generations = &self.envelope.generations;
        // Another token, or an old copy of ours, would truly say that it has no such keys.
        generations.prove_all()?;
        // A token that is absent leaves no record each time it is asked.
        let token = generations.token().check().map_err(Error::Token)?;
        let at = self.clock.now();
        let mut told = generations.workshop().destroy_generation(&old.keys());
        if told.as_ref().is_ok_and(Destruction::was_gone_before) {
            // A token that is being taken away looks as if it had lost its keys. After an interruption they are gone
            // indeed, and the token that holds the new ones says so once more.
            generations.prove_all()?;
            let again = generations.workshop().destroy_generation(&old.keys());
            told = told.and_then(|first| Ok(first.asked_again(again?)));
        }
        let (evidence, complete) = match told {
            Ok(destruction) => {
                let keys = destruction.keys.iter().map(|key| KeyEvidence {
                    id: key.id.to_string(),
                    destroyed: key.destroyed.clone(),
                    found_afterwards: key.found_afterwards,
                    later_use: key.later_use.clone(),
                });
                let evidence = Evidence {
                    at,
                    token_serial: token.serial,
                    keys: keys.collect(),
                    service_answer: String::new(),
                };
                (evidence, destruction.is_complete())
            }
            Err(cause) => {
                let failure = json!({"failure": sentences(&cause)});
                self.failed(old.number, failure)?;
                return Err(Error::Token(cause));
            }
        };
        if !complete {
            self.failed(old.number, json!({"evidence": evidence}))?;
            return Err(Error::Token(hsm::Error::Refused(
                "the token was told to destroy the old keys and still has them: look at it with the \
                 vendor's tool (`sealwright doctor` names the keys)"
                    .into(),
            )));
        }
        let kept = in_json(&evidence);
        self.store.write::<_, Error>(move |tx| Ok(records::set_evidence(tx, id, Some(&kept))?))?;
        Ok(evidence)
    }

    /// This process has used the keys until now; it must be refused as well.
    fn try_to_open(&self, old: &GenerationRow, check: Option<&[u8]>) -> Result<Opened, Error> {
        let token = self.envelope.generations.token();
        token.reload().map_err(Error::Token)?;
        let Some(check) = check else {
            return Ok(Opened::Refused("nothing was ever sealed under them".to_owned()));
        };
        // Not the handles that were in use: keys that are looked up anew.
        match token.sealing_keys(old.keys()).open(CHECK_CONTEXT, check) {
            Err(refusal @ hsm::Error::NoSuchKey(_)) => {
                // The token that holds the new ones, and not an empty place where it was.
                self.envelope.generations.prove_all()?;
                Ok(Opened::Refused(sentences(&refusal)))
            }
            Err(cause) => Err(Error::Token(cause)),
            Ok(_) => Ok(Opened::Still),
        }
    }

    /// What the token said of the old keys was not so: it was away for a moment, or is a copy. The next try tells it again
    /// to destroy them.
    fn still_there(
        &self,
        id: i64,
        old: &GenerationRow,
        evidence: &Evidence,
    ) -> Result<Error, Error> {
        let sentence = "the token said that the old keys are gone, and still opens with them: it is told again to destroy \
                        them. If that does not help, it is a copy: find out which token answers (`sealwright doctor`)";
        let note = note(self.clock.now(), old.number);
        let details = json!({"evidence": evidence, "failure": sentence});
        self.store.write::<_, Error>(move |tx| {
            records::set_evidence(tx, id, None)?;
            Ok(note.append(tx, Outcome::Failed, details)?)
        })?;
        Ok(Error::Token(hsm::Error::Refused(sentence.into())))
    }

    fn failed(&self, generation: u32, details: serde_json::Value) -> Result<(), Error> {
        let note = note(self.clock.now(), generation);
        self.store.write(move |tx| Ok(note.append(tx, Outcome::Failed, details)?))
    }
}

fn in_json(evidence: &Evidence) -> String {
    // Texts and numbers: there is nothing that JSON cannot say.
    serde_json::to_string(evidence).unwrap_or_default()
}
