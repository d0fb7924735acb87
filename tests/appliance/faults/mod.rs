//! The fault table: clients ask for certificates without a pause, something breaks, and afterwards
//! everything is looked at.
//!
//! A fault is a test here. It makes a [`scene::Scene`], breaks something while
//! [`scene::Scene::with_clients`] runs, mends it, and ends in [`scene::Scene::judge`], which fills a
//! line of the table. The table is printed when the last of them has ended, and is left in
//! `target/tmp/fault-table.md`. Every test in this folder begins by entering the table, because the
//! table waits for all of them.

mod agents;
mod alarms;
mod blocked;
mod clients;
mod container;
mod disk;
mod judge;
mod keys;
mod killed;
mod module;
mod pin;
mod place;
mod scene;
mod service;
mod sessions;
mod spy;
mod stopped;
mod table;
mod tokens;
