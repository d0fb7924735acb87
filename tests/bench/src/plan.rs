//! What is measured, for how long, how often.

use std::path::PathBuf;
use std::time::Duration;

use sealwright::base::KeyAlgorithm;

use crate::fault::{Outcome, While, fault};

/// Parts of the benchmark, in the order in which they run.
pub(crate) const PARTS: [(&str, &str); 9] = [
    ("limit", "the token alone: signatures and sealing per second"),
    ("issue", "certificates issued and durable per second, latency, processor time"),
    ("https", "the gateway: requests and handshakes"),
    ("vecs", "entries created, keys read, everything sealed anew"),
    ("peers", "what others do with the same requests and the same kind of token"),
    ("growth", "the same rate with many certificates on record; start, memory, size"),
    ("paced", "a token that takes its time"),
    ("disk", "a disk whose flushes are slow"),
    ("alone", "one request in flight: what it waits for"),
];

const USAGE: &str = "\
usage: bench [OPTION]... [PART]...
  --smoke              a moment for each measurement, one round: shows that everything works, measures nothing
  --rounds N           rounds; the table has their medians (5)
  --seconds S          seconds for each measurement in each round (3)
  --keys 'K K'         kinds of CA keys (p-256 p-384 rsa-2048 rsa-3072)
  --in-flight 'N N'    requests in flight (1 8 64)
  --threads 'N N'      threads at the token (1 2 4 8)
  --grown 'N N'        certificates on record (0 100000 1000000)
  --place DIR          folder for appliances and results (target/bench)
  --programs DIR       the appliance's programs (the folder of this one)
Without a part everything runs. Parts:";

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) smoke: bool,
    pub(crate) rounds: usize,
    pub(crate) measured: Duration,
    /// Before each measurement: connections, caches, the processor's clock.
    pub(crate) warm: Duration,
    pub(crate) keys: Vec<KeyAlgorithm>,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) threads: Vec<usize>,
    pub(crate) grown: Vec<usize>,
    pub(crate) parts: Vec<&'static str>,
    pub(crate) place: PathBuf,
    pub(crate) programs: PathBuf,
}

impl Plan {
    pub(crate) fn from_words(words: &[String]) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let mut plan = Self {
            smoke: false,
            rounds: 5,
            measured: Duration::from_secs(3),
            warm: Duration::from_millis(500),
            keys: list("p-256 p-384 rsa-2048 rsa-3072")?,
            in_flight: vec![1, 8, 64],
            threads: vec![1, 2, 4, 8],
            grown: vec![0, 100_000, 1_000_000],
            parts: Vec::new(),
            place: PathBuf::from("target/bench"),
            programs: own.parent().map(PathBuf::from).when("the program has no folder")?,
        };
        // First, so that the other options can say more about it.
        if words.iter().any(|word| word == "--smoke") {
            plan.smoke = true;
            plan.rounds = 1;
            plan.measured = Duration::from_millis(300);
            plan.warm = Duration::from_millis(50);
            plan.keys = list("p-256 rsa-3072")?;
            plan.threads = vec![1, 2];
            plan.grown = vec![0, 5_000];
        }
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if let Some((part, _)) = PARTS.iter().find(|(part, _)| *part == word) {
                plan.parts.push(part);
                continue;
            }
            let value = match word {
                "--smoke" => continue,
                "--help" => return fault(usage()),
                _ => words.next().unwrap_or_default(),
            };
            match word {
                "--rounds" => plan.rounds = value.parse().when("--rounds")?,
                "--seconds" => {
                    plan.measured = Duration::try_from_secs_f64(value.parse().when("--seconds")?)?;
                }
                "--keys" => plan.keys = list(value)?,
                "--in-flight" => plan.in_flight = list(value)?,
                "--threads" => plan.threads = list(value)?,
                "--grown" => plan.grown = list(value)?,
                "--place" => plan.place = value.into(),
                "--programs" => plan.programs = value.into(),
                _ => return fault(format!("'{word}' is no part and no option\n{}", usage())),
            }
        }
        if plan.parts.is_empty() {
            plan.parts = PARTS.iter().map(|(part, _)| *part).collect();
        }
        if plan.rounds == 0 || plan.measured.is_zero() || plan.keys.is_empty() {
            return fault(
                "nothing would be measured: give at least one round, some time and a key",
            );
        }
        std::fs::create_dir_all(&plan.place).when(plan.place.display())?;
        plan.place = plan.place.canonicalize()?;
        plan.programs = plan.programs.canonicalize().when(plan.programs.display())?;
        Ok(plan)
    }
}

fn usage() -> String {
    let parts: String = PARTS.iter().map(|(part, what)| format!("\n  {part:<12} {what}")).collect();
    format!("{USAGE}{parts}")
}

fn list<T>(text: &str) -> Outcome<Vec<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error,
{
    text.split_whitespace().map(|word| word.parse().when(format!("'{word}'"))).collect()
}
