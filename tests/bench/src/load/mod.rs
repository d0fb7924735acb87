//! The load generator: keeps so many requests in flight, on connections that are kept, with as little processor time
//! as it can, because it runs on the machine that it measures.
//!
//! One thread and `epoll`. The octets of the requests are made before; an answer is read with one call, and looked at
//! without being parsed: its status, and whether it holds what was asked for. Each connection has one request in
//! flight.

mod answer;
mod channel;
mod latencies;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

pub(crate) use answer::{Expected, http_request};
pub(crate) use channel::Door;
pub(crate) use latencies::Latencies;

use answer::{Answer, Answers};
use channel::Channel;

use crate::fault::{Outcome, While, fault};
use crate::processes::{self, Watched};

/// How long nothing at all may come before that counts as a fault.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers that are kept for a judge.
const KEPT: usize = 24;

/// What to ask, of whom, how much at once, for how long.
pub(crate) struct Order<'a> {
    pub(crate) door: &'a Door,
    /// Whole requests, asked in turns.
    pub(crate) requests: &'a [Vec<u8>],
    pub(crate) expected: Expected,
    pub(crate) in_flight: usize,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    /// Processes whose time is taken over the measured part.
    pub(crate) watched: &'a [Watched],
    /// Whether requests may be asked more often than once: otherwise it ends when all were asked.
    pub(crate) again: bool,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Good answers in the measured part.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) latencies: Latencies,
    /// Processor time of each watched process.
    pub(crate) used: Vec<Duration>,
    /// Processor time of this thread's process: the load generator.
    pub(crate) own: Duration,
    /// Good answers in all, warming up and the end included.
    pub(crate) answered: u64,
    /// Serial numbers of all certificates, where certificates were asked for.
    pub(crate) serials: Vec<u128>,
    /// Bodies of some of the answers.
    pub(crate) kept: Vec<Vec<u8>>,
    /// Answers with another status than 200, by status. Whoever asks decides what that means.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// The body of the first of them.
    pub(crate) refusal: Option<String>,
}

impl Load {
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    /// Microseconds of processor time for one good answer.
    pub(crate) fn each(&self, used: Duration) -> f64 {
        used.as_secs_f64() * 1e6 / self.count.max(1) as f64
    }

    /// Every request must have been answered well.
    pub(crate) fn good(self) -> Outcome<Self> {
        if let Some(refusal) = &self.refusal {
            return fault(format!("requests were refused: {:?}, {refusal}", self.refused));
        }
        if self.count == 0 {
            return fault("nothing was answered in the time of the measurement");
        }
        Ok(self)
    }
}

struct Client {
    channel: Channel,
    answers: Answers,
    sent: Instant,
    waits: bool,
}

/// Asks, and returns when everything that was asked is answered.
pub(crate) fn run(order: &Order<'_>) -> Outcome<Load> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut clients = Vec::new();
    for index in 0..order.in_flight {
        let channel = order.door.connect().when("connecting")?;
        epoll::add(
            &poll,
            &channel,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
        clients.push(Client {
            channel,
            answers: Answers::default(),
            sent: Instant::now(),
            waits: false,
        });
    }
    let mut asked = 0;
    let mut ask = |client: &mut Client| -> Outcome<bool> {
        if !order.again && asked == order.requests.len() {
            return Ok(false);
        }
        let request = &order.requests[asked % order.requests.len()];
        asked += 1;
        client.sent = Instant::now();
        client.waits = true;
        client.channel.send(request).when("sending a request")?;
        Ok(true)
    };

    let mut load = Load::default();
    let mut window = Window::new(order);
    let mut waiting = 0;
    for client in &mut clients {
        waiting += usize::from(ask(client)?);
    }
    let mut events = Vec::with_capacity(order.in_flight.min(256));
    let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    while waiting > 0 {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Err(rustix::io::Errno::INTR) => continue,
            found => drop(found?),
        }
        if events.is_empty() {
            return fault(format!("{waiting} requests are not answered"));
        }
        for event in &events {
            let client = &mut clients[usize::try_from(event.data.u64())?];
            client.channel.receive(&mut client.answers).when("reading an answer")?;
            // As many as came; a connection without a question has none.
            while client.waits {
                let Some(answer) = client.answers.next()? else { break };
                let now = Instant::now();
                client.waits = false;
                let good = load.take(&answer, order.expected)?;
                window.at(now, &mut load)?;
                if good && window.is_open() {
                    load.count += 1;
                    load.latencies.add(now - client.sent);
                }
                waiting -= 1;
                client.answers.done();
                if !window.is_over() {
                    waiting += usize::from(ask(client)?);
                }
            }
        }
    }
    window.close(&mut load)?;
    Ok(load)
}

impl Load {
    fn take(&mut self, answer: &Answer<'_>, expected: Expected) -> Outcome<bool> {
        if answer.status != 200 {
            *self.refused.entry(answer.status).or_default() += 1;
            if self.refusal.is_none() {
                self.refusal = Some(String::from_utf8_lossy(answer.body).into_owned());
            }
            return Ok(false);
        }
        if let Some(serial) = expected.check(answer.body)? {
            self.serials.push(serial);
        }
        // The first ones, and later ever fewer, from everywhere.
        if self.kept.len() < KEPT && (self.answered + 1).is_power_of_two() {
            self.kept.push(answer.body.to_vec());
        }
        self.answered += 1;
        Ok(true)
    }
}

/// The measured part: opened after the warming up, closed when its time is over.
struct Window<'a> {
    order: &'a Order<'a>,
    opens: Instant,
    open: Option<(Instant, Vec<Duration>, Duration)>,
    over: bool,
}

impl<'a> Window<'a> {
    fn new(order: &'a Order<'a>) -> Self {
        Self { order, opens: Instant::now() + order.warm, open: None, over: false }
    }

    const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    const fn is_over(&self) -> bool {
        self.over
    }

    fn at(&mut self, now: Instant, load: &mut Load) -> Outcome<()> {
        if self.over {
            return Ok(());
        }
        match &self.open {
            None if now >= self.opens => {
                let used = self.watched()?;
                self.open = Some((now, used, processes::used(std::process::id())?));
            }
            Some((began, ..)) if now - *began >= self.order.measured => self.close(load)?,
            _ => {}
        }
        Ok(())
    }

    fn watched(&self) -> Outcome<Vec<Duration>> {
        self.order.watched.iter().map(|watched| watched.used()).collect()
    }

    fn close(&mut self, load: &mut Load) -> Outcome<()> {
        if let Some((began, before, own)) = self.open.take() {
            load.seconds = began.elapsed().as_secs_f64();
            let after = self.watched()?;
            // An agent that has ended and was not collected yet is in neither sum.
            let grown = |(after, before): (&Duration, &Duration)| after.saturating_sub(*before);
            load.used = after.iter().zip(&before).map(grown).collect();
            load.own = processes::used(std::process::id())? - own;
        }
        self.over = true;
        Ok(())
    }
}
