//! Generations of the two keys that protect what is stored outside the token: made together, destroyed together.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use serde::{Deserialize, Serialize};

use super::{SelfTest, Workshop, born_as, distrust, proof};
use crate::error::Answer;
use crate::recovery::{Decision, Failure, Operation, decide};
use crate::role::{Origin, Role};
use crate::sealed::{Content, Header};
use crate::sealing::born::{self, Born};
use crate::sealing::session_object::known_key;
use crate::sealing::{gcm, self_test, unwrap_template};
use crate::sessions::random;
use crate::token::Serving;
use crate::{Error, KeyGeneration, KeyId, SealingMechanism};

/// Keys that were made, and what was found about the token while they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeGeneration {
    /// The keys.
    pub keys: KeyGeneration,
    /// What the sealing key was made for.
    pub mechanism: SealingMechanism,
    /// What became of the self-test of each mechanism.
    pub self_tests: Vec<SelfTest>,
    /// Whether the token holds keys that it unwraps to the wrapping key's template.
    pub unwrap_template: UnwrapTemplate,
}

impl MadeGeneration {
    /// Whether keys can be born in this token. Where not, its wrapping key is there and of no use.
    pub fn keys_can_be_born(&self) -> bool {
        let wraps = |test: &SelfTest| test.mechanism == SealingMechanism::KeyWrap && test.passed();
        self.self_tests.iter().any(wraps)
    }
}

/// What a token does with the template that keys must fit that a wrapping key unwraps (`CKA_UNWRAP_TEMPLATE`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum UnwrapTemplate {
    /// It refused every attempt to unwrap a key of ours as readable.
    Honoured,
    /// It took the template and unwrapped a key as readable all the same; these attempts succeeded. Whoever has the
    /// PIN and the sealing key's help can read keys born in the token.
    Ignored(Vec<String>),
    /// It makes no key with a template, and answered this. The wrapping key was made without one.
    Refused(String),
    /// It was not tried, because the token does not wrap keys as the standard says.
    Untried,
}

/// Keys that were destroyed, as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destruction {
    /// Number of the generation.
    pub number: u32,
    /// One for each key: the sealing key, then the wrapping key.
    pub keys: Vec<DestroyedKey>,
}

impl Destruction {
    /// Whether neither key is in the token any more.
    pub fn is_complete(&self) -> bool {
        self.keys.iter().all(|key| key.left == 0 && key.used_afterwards.is_none())
    }
}

/// What was seen while a key was destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyedKey {
    /// `CKA_ID`.
    pub id: KeyId,
    /// The answer of `C_DestroyObject` for each object that had the id; empty if there was none any more.
    pub answers: Vec<String>,
    /// How many secret keys with this id were found afterwards. Must be 0.
    pub left: usize,
    /// What the token answered when the old handles were used. Empty if there was none.
    pub refusals: Vec<String>,
    /// What it let be done with an old handle instead of refusing (`read`, `use`). Must be `None`.
    pub used_afterwards: Option<String>,
}

impl Workshop {
    /// Generates the two keys of a generation inside the token, AES-256 both, and proves them. Either both are there
    /// afterwards, or neither. They are called `LABEL sealing key NUMBER` and `LABEL wrapping key NUMBER`, for people.
    ///
    /// `mechanism`: how the sealing key is to seal. `None`: with AES-GCM if the token passes the self-test for it, else
    /// with AES key wrap. Unsupported if the token fails the self-test of what was asked, or of both.
    pub fn generate_generation(
        &self,
        label: &str,
        number: u32,
        mechanism: Option<SealingMechanism>,
    ) -> Result<MadeGeneration, Error> {
        let keys = KeyGeneration { number, sealing: self.fresh_id()?, wrapping: self.fresh_id()? };
        self.make(&[keys.sealing, keys.wrapping], |serving| {
            let self_tests = [SealingMechanism::Gcm, SealingMechanism::KeyWrap]
                .map(|mechanism| self_test::run(serving, mechanism))
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
            let mechanism = choose(mechanism, &self_tests)?;
            sealing_key(serving, &keys, mechanism, &format!("{label} sealing key {number}"))?;
            let mut made = MadeGeneration {
                keys,
                mechanism,
                self_tests,
                unwrap_template: UnwrapTemplate::Untried,
            };
            let (wrapping, refused) =
                wrapping_key(serving, keys.wrapping, &format!("{label} wrapping key {number}"))?;
            if made.keys_can_be_born() {
                made.unwrap_template = prove_wrapping(serving, wrapping, keys.wrapping, refused)?;
            }
            Ok(made)
        })
    }

    /// Destroys both keys of a generation (`C_DestroyObject`) and looks whether they are gone. What was sealed under
    /// them never opens again.
    ///
    /// Can be asked for again after an interruption: a key that is gone already is reported so.
    pub fn destroy_generation(&self, generation: &KeyGeneration) -> Result<Destruction, Error> {
        let mut ids = vec![generation.sealing, generation.wrapping];
        // Keys of a former version have no wrapping key.
        ids.dedup();
        let keys = ids
            .into_iter()
            .map(|id| self.token.operate(Operation::Provision, |serving| destroy_key(serving, id)))
            .collect::<Result<_, _>>()?;
        Ok(Destruction { number: generation.number, keys })
    }
}

fn choose(
    wanted: Option<SealingMechanism>,
    self_tests: &[SelfTest],
) -> Result<SealingMechanism, Failure> {
    let passed = self_tests
        .iter()
        .filter(|test| wanted.is_none_or(|wanted| wanted == test.mechanism))
        .find(|test| test.passed());
    if let Some(test) = passed {
        return Ok(test.mechanism);
    }
    let told: Vec<_> = self_tests
        .iter()
        .filter_map(|test| match &test.outcome {
            self_test::SelfTestOutcome::Failed(why) => Some(format!("{}: {why}", test.mechanism)),
            _ => None,
        })
        .collect();
    Err(Failure::Final(Error::Unsupported(
        format!(
            "the token cannot seal data, its self-test failed ({}): use another token, or other firmware",
            told.join("; ")
        )
        .into(),
    )))
}

fn sealing_key(
    serving: &Serving<'_>,
    keys: &KeyGeneration,
    mechanism: SealingMechanism,
    label: &str,
) -> Result<(), Failure> {
    let (role, id) = (Role::Sealing(mechanism), keys.sealing);
    let key = aes_key(serving, role, id, label, None)?;
    let header =
        Header { generation: keys.number, sealing: id, mechanism, content: Content::Secret };
    proof::sealing(serving, key, &header)?;
    proof::stays_inside(serving.session, key, role, id)
}

/// With the template if the token takes it. Otherwise what it answered comes back as well.
fn wrapping_key(
    serving: &Serving<'_>,
    id: KeyId,
    label: &str,
) -> Result<(ObjectHandle, Option<String>), Failure> {
    let role = Role::Wrapping;
    let template = unwrap_template::attribute();
    let (key, refused) = match aes_key(serving, role, id, label, template) {
        Err(Failure::Answer(answer))
            if decide(Operation::Provision, &answer) == Decision::Unsupported =>
        {
            (aes_key(serving, role, id, label, None)?, Some(answer.to_string()))
        }
        made => (made?, None),
    };
    proof::stays_inside(serving.session, key, role, id)?;
    Ok((key, refused))
}

fn aes_key(
    serving: &Serving<'_>,
    role: Role,
    id: KeyId,
    label: &str,
    more: Option<Attribute>,
) -> Result<ObjectHandle, Failure> {
    let mut template = role.template(id, label);
    template.push(Attribute::ValueLen(32_u64.into()));
    template.extend(more);
    let key = serving.session.generate_key(&Mechanism::AesKeyGen, &template)?;
    born_as(role.judge(serving.session, key, id)?, Origin::Generated, id)?;
    Ok(key)
}

/// Makes a key pair, wraps it and has it back; then tries to steal it.
fn prove_wrapping(
    serving: &Serving<'_>,
    key: ObjectHandle,
    id: KeyId,
    refused: Option<String>,
) -> Result<UnwrapTemplate, Failure> {
    let algorithm = born::quickest(serving)?;
    let octets = born::generate(serving.session, key, algorithm)?;
    let Some(born) = octets.as_deref().and_then(Born::parse) else {
        return Err(distrust(id, "a key that it wrapped does not come back as what it was"));
    };
    if let Some(answer) = refused {
        return Ok(UnwrapTemplate::Refused(answer));
    }
    let obeyed: Vec<_> = unwrap_template::steal(serving, key, &born)?
        .into_iter()
        .filter(|theft| theft.answer.is_ok())
        .map(|theft| theft.attempt.to_owned())
        .collect();
    Ok(match obeyed.is_empty() {
        true => UnwrapTemplate::Honoured,
        false => UnwrapTemplate::Ignored(obeyed),
    })
}

fn destroy_key(serving: &Serving<'_>, id: KeyId) -> Result<DestroyedKey, Failure> {
    let session = serving.session;
    // Secret keys only: nobody loses a signing key by a wrong id.
    let ours = [
        Attribute::Token(true),
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Id(id.0.to_vec()),
    ];
    let mut seen = DestroyedKey {
        id,
        answers: Vec::new(),
        left: 0,
        refusals: Vec::new(),
        used_afterwards: None,
    };
    for handle in session.find_objects(&ours)? {
        let encrypts = Role::sealing_mechanism(session, handle)? == SealingMechanism::Gcm;
        seen.answers.push(match session.destroy_object(handle) {
            Ok(()) => "C_DestroyObject answered CKR_OK".to_owned(),
            Err(error) => Answer::from(error).to_string(),
        });
        for (what, answer) in
            [("read", read_id(serving, handle)), ("use", use_key(serving, handle, encrypts))]
        {
            match answer {
                Ok(()) => seen.used_afterwards = Some(what.to_owned()),
                Err(Failure::Answer(answer)) => seen.refusals.push(answer.to_string()),
                Err(failure) => return Err(failure),
            }
        }
    }
    seen.left = session.find_objects(&ours)?.len();
    Ok(seen)
}

fn read_id(serving: &Serving<'_>, key: ObjectHandle) -> Result<(), Failure> {
    let doomed = serving.connection.open()?;
    doomed.get_attributes(key, &[AttributeType::Id])?;
    Ok(())
}

/// In a session of its own, because an operation that began would leave it busy.
fn use_key(serving: &Serving<'_>, key: ObjectHandle, encrypts: bool) -> Result<(), Failure> {
    let doomed = serving.connection.open()?;
    if encrypts {
        return gcm::encrypt(&doomed, key, random(&doomed)?, b"after the end", b"nothing")
            .map(drop);
    }
    let data_key = known_key(&doomed, &[Attribute::Extractable(true)])?;
    doomed.wrap_key(&Mechanism::AesKeyWrapPad, key, data_key.object.handle()?)?;
    Ok(())
}
