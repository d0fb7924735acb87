//! What others do with the same requests and a token of the same kind, each in the way that serves it best.

mod authority;
mod servers;
mod tools;

use sealwright::base::KeyAlgorithm;

use super::issue::Issuer;
use crate::appliance::Appliance;
use crate::fault::{Outcome, While};
use crate::plan::Plan;
use crate::report::{Cell, Report, Table};
use crate::token::Operation;
use crate::{limit, requests};
use authority::Authority;

/// Kinds of keys for which peers are asked: the fastest, and the one that VMware's CA has.
const KEYS: [KeyAlgorithm; 2] = [KeyAlgorithm::P256, KeyAlgorithm::Rsa(3072)];
/// Requests in flight, for servers.
const IN_FLIGHT: usize = 64;

/// Certificates a second, and microseconds of processor time for one; or why there are none.
type Rate = Result<(f64, f64), String>;

/// One who issues certificates, set up for one kind of key.
trait Peer {
    fn name(&self) -> &'static str;
    /// How it was asked, and what it does not do.
    fn how(&self) -> &'static str;
    fn measure(&self, plan: &Plan) -> Outcome<Rate>;
}

pub(super) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    for key in plan.keys.iter().filter(|key| KEYS.contains(key)) {
        of_key(plan, *key, report).when(key)?;
    }
    Ok(())
}

fn of_key(plan: &Plan, key: KeyAlgorithm, report: &mut Report) -> Outcome<()> {
    let csrs = requests::csrs(key)?;
    let authority = Authority::new(plan, key, &csrs)?;
    let ours = Ours(Issuer::start(key, Appliance::new(plan, "beside-peers", key)?)?);
    let mut peers: Vec<Box<dyn Peer + '_>> = vec![Box::new(ours)];
    peers.extend(servers::all(&authority, &csrs)?);
    peers.extend(tools::all(&authority)?);

    let mut limits = Vec::new();
    let mut rates = vec![Vec::new(); peers.len()];
    let mut processor = rates.clone();
    let mut missing = vec![None; peers.len()];
    for _ in 0..plan.rounds {
        let threads = std::thread::available_parallelism()?.get();
        limits.push(limit::measure(plan, &authority.token, Operation::Sign(key), threads)?.rate);
        for (number, peer) in peers.iter().enumerate() {
            match peer.measure(plan).when(peer.name())? {
                Ok((rate, each)) => {
                    rates[number].push(rate);
                    processor[number].push(each);
                }
                Err(why) => missing[number] = Some(why),
            }
        }
    }

    let mut table = Table::new(
        format!("3. Peers, {key}: the same requests, the same kind of token"),
        &["who", "certificates/s", "ours : theirs", "processor us"],
    );
    let own = rates[0].clone();
    table.rows.push(vec![
        Cell::text("the token alone"),
        Cell::Rounds(limits, 0),
        Cell::text(""),
        Cell::text(""),
    ]);
    for (number, peer) in peers.iter().enumerate() {
        let mut row = vec![Cell::text(peer.name())];
        match &missing[number] {
            Some(why) => row.extend(vec![Cell::Missing(why.clone()); 3]),
            None => {
                let times = own.iter().zip(&rates[number]).map(|(own, rate)| own / rate).collect();
                row.push(Cell::Rounds(rates[number].clone(), 0));
                row.push(Cell::Rounds(times, 1));
                row.push(Cell::Rounds(processor[number].clone(), 0));
            }
        }
        table.rows.push(row);
        table.note(format!("{}: {}.", peer.name(), peer.how()));
    }
    table.note("Peers use a SoftHSM token of their own with a short PIN: OpenSSL's engine takes none longer than 32 octets.");
    table.note("Processor time is that of everything that issues, for one certificate; of tools, that of all their processes.");
    report.add(table);
    Ok(())
}

struct Ours(Issuer);

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "vmcad"
    }

    fn how(&self) -> &'static str {
        "Unix socket, 64 in flight; intent and outcome recorded, durable, verified"
    }

    fn measure(&self, plan: &Plan) -> Outcome<Rate> {
        let load = self.0.measure(plan, IN_FLIGHT)?;
        Ok(Ok((load.rate(), load.each(load.used.iter().sum()))))
    }
}
