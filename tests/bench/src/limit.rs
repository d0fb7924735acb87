//! The limit: a process that does nothing but ask a token.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fault::{Outcome, While, fault};
use crate::plan::Plan;
use crate::processes;
use crate::token::{Operation, Place, Token};

/// First word of the command line of the child.
pub(crate) const CHILD: &str = "ask-token";

/// What a token did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Processor time of one, in microseconds.
    pub(crate) processor: f64,
}

/// Measures once, in a child: a module reads its environment when it is loaded.
pub(crate) fn measure(
    plan: &Plan,
    place: &Place,
    operation: Operation,
    threads: usize,
) -> Outcome<Limit> {
    let words = json!({
        "module": place.module,
        "serial": place.serial,
        "pin_file": place.pin_file,
        "operation": match operation {
            Operation::Sign(algorithm) => algorithm.to_string(),
            Operation::Seal => "seal".to_owned(),
            Operation::Open => "open".to_owned(),
        },
        "threads": threads,
        "seconds": plan.measured.as_secs_f64(),
        "warm": plan.warm.as_secs_f64(),
    });
    let said = Command::new(std::env::current_exe()?)
        .args([CHILD, &words.to_string()])
        .envs(&place.environment)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !said.status.success() {
        return fault(format!("the token alone, {operation:?}: {}", said.status));
    }
    let answer: Value = serde_json::from_slice(&said.stdout)?;
    let number = |name: &str| answer[name].as_f64().when("the child said something else");
    let count = number("count")?.max(1.0);
    Ok(Limit { rate: count / number("seconds")?, processor: 1e6 * number("processor")? / count })
}

/// The child: its words are one JSON object, and so is its answer.
pub(crate) fn child(words: &[String]) -> Outcome<()> {
    let words: Value = serde_json::from_str(words.first().when("no words")?)?;
    let text = |name: &str| words[name].as_str().when("a word is missing");
    let time = |name: &str| -> Outcome<Duration> {
        Ok(Duration::try_from_secs_f64(words[name].as_f64().when("a time is missing")?)?)
    };
    let place = Place {
        module: text("module")?.into(),
        serial: text("serial")?.to_owned(),
        pin_file: text("pin_file")?.into(),
        environment: std::collections::BTreeMap::new(),
    };
    let operation = match text("operation")? {
        "seal" => Operation::Seal,
        "open" => Operation::Open,
        algorithm => Operation::Sign(algorithm.parse()?),
    };
    let threads = words["threads"].as_u64().when("the number of threads is missing")?;
    let token = Token::open(&place)?;
    let (warm, measured) = (time("warm")?, time("seconds")?);
    let mut workers = Vec::new();
    for _ in 0..threads {
        workers.push(token.worker(operation)?);
    }
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let own = std::process::id();
    let answer = std::thread::scope(|scope| -> Outcome<Value> {
        for mut worker in workers {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match worker.work() {
                        Ok(octets) if octets > 0 => drop(count.fetch_add(1, Ordering::Relaxed)),
                        refused => {
                            eprintln!("bench: the token refused: {refused:?}");
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        std::thread::sleep(warm);
        let (began, before) = (Instant::now(), processes::used(own)?);
        let counted = count.load(Ordering::Relaxed);
        std::thread::sleep(measured);
        let (seconds, after) = (began.elapsed(), processes::used(own)?);
        let done = count.load(Ordering::Relaxed) - counted;
        let refused = stop.swap(true, Ordering::Relaxed);
        if refused {
            return fault("the token alone was measured in vain");
        }
        Ok(json!({
            "count": done,
            "seconds": seconds.as_secs_f64(),
            "processor": (after - before).as_secs_f64(),
        }))
    })?;
    println!("{answer}");
    token.close()
}
