//! The door to administrative mode: where sealing keys are made and destroyed.

/// A process apart that makes and destroys keys in the sealing token, because the token of a serving
/// process is read-only.
pub trait KeyWorkshop: Send + Sync {
    /// Makes the sealing key and the wrapping key of a generation, durable on return.
    ///
    /// # Errors
    /// What the token says; then there may be keys that nobody knows, and that seal nothing.
    fn generate_generation(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error>;

    /// Destroys both keys of a generation (`C_DestroyObject`) and looks whether they are gone. For
    /// keys that are gone already it says so, so that it can be asked again after a crash.
    ///
    /// # Errors
    /// What the token says; then a key may be left, and the act is to be tried again.
    fn destroy_generation(
        &self,
        generation: &hsm::KeyGeneration,
    ) -> Result<Destruction, hsm::Error>;
}

/// The evidence that keys are gone, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destruction {
    /// One for each key of the generation.
    pub keys: Vec<DestroyedKey>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestroyedKey {
    /// `CKA_ID`.
    pub id: hsm::KeyId,
    /// Whether it was not found when it was to be destroyed.
    pub gone_before: bool,
    /// What `C_DestroyObject` answered, as in `CKR_OK`.
    pub destroyed: String,
    /// Number of objects with this id that were found afterwards.
    pub found_afterwards: u64,
    /// What the token answered to a later use of the key's handle.
    pub later_use: String,
}

impl Destruction {
    /// Whether no object of any of the keys is left.
    pub fn is_complete(&self) -> bool {
        self.keys.iter().all(|key| key.found_afterwards == 0)
    }

    /// What is known after the token was told once more: of a key that it destroyed at first, its first answer is the
    /// evidence; of others, the later one.
    pub fn asked_again(self, later: Self) -> Self {
        let latest = |first: DestroyedKey| match first.gone_before {
            true => later.keys.iter().find(|key| key.id == first.id).cloned().unwrap_or(first),
            false => first,
        };
        Self { keys: self.keys.into_iter().map(latest).collect() }
    }

    /// Whether a key was not found when it was to be destroyed.
    pub fn was_gone_before(&self) -> bool {
        self.keys.iter().any(|key| key.gone_before)
    }
}

#[cfg(test)]
mod tests {
    use super::{DestroyedKey, Destruction};

    #[test]
    fn a_second_answer_does_not_take_the_place_of_evidence() {
        let key = |id, destroyed: &str| DestroyedKey {
            id: hsm::KeyId([id; 32]),
            gone_before: destroyed == "gone",
            destroyed: destroyed.to_owned(),
            found_afterwards: 0,
            later_use: String::new(),
        };
        let of = |sealing, wrapping| Destruction { keys: vec![key(1, sealing), key(2, wrapping)] };
        for (first, later, known) in [
            (of("CKR_OK", "gone"), of("gone", "gone"), of("CKR_OK", "gone")),
            (of("gone", "gone"), of("CKR_OK", "CKR_OK"), of("CKR_OK", "CKR_OK")),
            (of("gone", "CKR_OK"), of("CKR_OK", "gone"), of("CKR_OK", "CKR_OK")),
        ] {
            assert_eq!(first.asked_again(later), known);
        }
    }
}
