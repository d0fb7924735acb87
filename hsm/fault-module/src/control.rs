//! The client of a control socket.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::line::Line;
use crate::{Count, Function};

/// Tells a controller what to break, and asks it what was called.
pub struct Control(Mutex<Line>);

/// What was called so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Function, Count>);

impl Control {
    /// Connects to the controller that listens there.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Line::connect(path).map(Mutex::new).map(Self)
    }

    /// Adds a rule, as in `C_Sign answer=0x30 skip=2 count=1`.
    ///
    /// # Errors
    /// It is no rule, or the controller is gone.
    pub fn add(&self, rule: &str) -> io::Result<()> {
        self.ask(&format!("add {rule}")).map(drop)
    }

    /// The rules, with what is left of their `skip` and `count`.
    ///
    /// # Errors
    /// The controller is gone.
    pub fn rules(&self) -> io::Result<Vec<String>> {
        self.ask("rules")
    }

    /// Takes all rules away, and releases what hangs.
    ///
    /// # Errors
    /// The controller is gone.
    pub fn clear(&self) -> io::Result<()> {
        self.ask("clear").map(drop)
    }

    /// Releases what hangs now.
    ///
    /// # Errors
    /// The controller is gone.
    pub fn release(&self) -> io::Result<()> {
        self.ask("release").map(drop)
    }

    /// Counts from zero.
    ///
    /// # Errors
    /// The controller is gone.
    pub fn reset(&self) -> io::Result<()> {
        self.ask("reset").map(drop)
    }

    /// What was called since the counts were last zero.
    ///
    /// # Errors
    /// The controller is gone, or says something else.
    pub fn counts(&self) -> io::Result<Counts> {
        let told = self.ask("counts")?;
        let counts: Option<BTreeMap<_, _>> = told.iter().map(|line| count(line)).collect();
        counts.map(Counts).ok_or_else(|| io::Error::other("the controller counts in another form"))
    }

    /// Sends one line; the lines of the answer. The crate's page lists what can be said.
    ///
    /// # Errors
    /// The controller refuses, or is gone.
    pub fn ask(&self, line: &str) -> io::Result<Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ask(line)
    }
}

impl Counts {
    /// Of the function with this name.
    pub fn of(&self, name: &str) -> Count {
        let found = self.0.iter().find(|(function, _)| function.name() == name);
        found.map_or_else(Count::default, |(_, count)| *count)
    }

    /// How often it was called.
    pub fn calls(&self, name: &str) -> u64 {
        self.of(name).calls
    }
}

fn count(line: &str) -> Option<(Function, Count)> {
    let mut words = line.split(' ');
    let function = words.next()?.parse().ok()?;
    let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
    let count =
        Count { calls: number("calls=")?, inside: number("inside=")?, most: number("most=")? };
    Some((function, count))
}
