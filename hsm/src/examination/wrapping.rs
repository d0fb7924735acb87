//! A wrapping key is tried with a key pair that is made for this: it must come back, and only as what it was.

use super::attempts::{Answered, judge};
use super::keys::{Subject, held};
use super::{Check, Observation, Outcome};
use crate::recovery::Failure;
use crate::sealing::born::{self, Born};
use crate::sealing::unwrap_template::steal;
use crate::token::Serving;

/// What no template stops, so that nobody takes the refusals for more than they are.
const STILL: &str = "whoever has the PIN can still unwrap it as what it is and wrap it again under a key of their own";

pub(super) fn observe(
    serving: &Serving<'_>,
    subject: &Subject,
) -> Result<[Observation; 2], Failure> {
    let session = serving.connection.open()?;
    let algorithm = born::quickest(serving)?;
    let unproven = |why: String| {
        let not_tried = Answered::Unclear(format!("not tried: {why}"));
        let proof = Observation { check: Check::Proof, outcome: Outcome::Broken, detail: why };
        Ok([judge(Check::NotTakenOut, vec![not_tried]), proof])
    };
    if !born::are_possible(serving)? {
        let why = "the token does not wrap keys in this way, so none was born under this key";
        return Ok([Check::NotTakenOut, Check::Proof]
            .map(|check| judge(check, vec![Answered::Unclear(format!("not tried: {why}"))])));
    }
    let octets = match born::generate(&session, subject.handle, algorithm) {
        Ok(octets) => octets,
        Err(Failure::Answer(answer)) => return unproven(answer.to_string()),
        Err(failure) => return Err(failure),
    };
    let Some(born) = octets.as_deref().and_then(Born::parse) else {
        return unproven("a key that it wrapped does not come back as what it was".to_owned());
    };
    let answers = steal(serving, subject.handle, &born)?
        .into_iter()
        .map(|theft| Answered::of(theft.attempt, theft.answer))
        .collect();
    let mut thefts = judge(Check::NotTakenOut, answers);
    thefts.detail = format!("{} ({STILL})", thefts.detail);
    let proof = held(Check::Proof, "wrapped a fresh key, which comes back and signs");
    Ok([thefts, proof])
}
