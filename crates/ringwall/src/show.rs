//! The only file that prints.

use std::io::{self, Write};

use lab::deploy::Done;
use lab::walk::{Explanation, Way};
use serde::Serialize;

use crate::Failure;
use crate::protocol::{ClockStatus, MachineReport, StackReport, Status};

/// One line about what is being done.
pub(crate) fn progress(words: &str) -> Result<(), Failure> {
    print(|out| writeln!(out, "  {words}"))
}

/// Why a command failed.
pub(crate) fn failure(failure: &Failure) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "ringwall: {failure}");
}

/// What stands in a lab.
pub(crate) fn status(status: &Status) -> Result<(), Failure> {
    print(|out| {
        writeln!(out, "lab {} ({})", status.name, status.region)?;
        if let Some(endpoint) = status.endpoint {
            let signed = if status.signed { ", for signed requests" } else { "" };
            writeln!(out, "EC2 endpoint: http://{endpoint}{signed}")?;
        }
        let mut rows =
            vec![["INSTANCE", "NAME", "STATE", "PRIVATE", "PUBLIC", "IPV6", "NAMESPACE"].map(str::to_owned)];
        rows.extend(status.instances.iter().map(|instance| {
            [
                instance.id.clone(),
                instance.name.clone().unwrap_or_default(),
                state(&instance.state, &instance.machine),
                addresses(instance.private_ip.as_slice()),
                addresses(instance.public_ip.as_slice()),
                addresses(&instance.ipv6),
                instance.machine.namespace.clone(),
            ]
        }));
        table(out, &rows)?;
        let mut rows = vec![["HOST", "KIND", "STATE", "ADDRESSES", "NAMESPACE"].map(str::to_owned)];
        rows.extend(status.hosts.iter().map(|host| {
            [
                host.name.clone(),
                host.kind.clone(),
                host.machine.state.clone(),
                addresses(&host.addresses),
                host.machine.namespace.clone(),
            ]
        }));
        table(out, &rows)?;
        let machines = status.instances.iter().map(|i| (&i.id, &i.machine));
        for (name, machine) in machines.chain(status.hosts.iter().map(|host| (&host.name, &host.machine))) {
            for failure in &machine.failures {
                writeln!(out, "{name}: {failure}")?;
            }
        }
        writeln!(out, "{} tracked connections", status.connections)?;
        if status.overload > 0 {
            writeln!(out, "{} frames were lost because the fabric was overloaded", status.overload)?;
        }
        for (from, drops) in &status.drops {
            for (reason, count) in drops {
                writeln!(out, "dropped from {from}: {count} {reason} ({})", reason.meaning())?;
            }
        }
        Ok(())
    })
}

/// What a lab's clock shows.
pub(crate) fn clock(clock: &ClockStatus) -> Result<(), Failure> {
    let ClockStatus { lab, rate, seconds, real_seconds } = clock;
    print(|out| {
        writeln!(
            out,
            "the clock of lab {lab}: {seconds:.1} s in {real_seconds:.1} s of real time, now at rate {rate}"
        )
    })
}

/// What became of a stack.
pub(crate) fn stack(report: &StackReport) -> Result<(), Failure> {
    print(|out| {
        if report.done.is_empty() {
            writeln!(out, "stack {} in {}: no changes", report.stack, report.region)?;
        } else {
            writeln!(out, "stack {} in {}", report.stack, report.region)?;
        }
        let row = |done: &Done| {
            [format!("  {}", done.deed), done.logical.clone(), done.kind.clone(), done.physical.clone()]
        };
        let rows: Vec<_> = report.done.iter().map(row).collect();
        table(out, &rows)?;
        for (name, value) in &report.outputs {
            writeln!(out, "{name} = {value}")?;
        }
        for trouble in &report.trouble {
            writeln!(out, "{trouble}")?;
        }
        Ok(())
    })
}

/// The way of a packet, there and back, and what a traceroute would show.
pub(crate) fn explanation(explanation: &Explanation) -> Result<(), Failure> {
    print(|out| {
        writeln!(out, "{}", explanation.packet)?;
        way(out, "there", &explanation.there)?;
        if let Some(back) = &explanation.back {
            way(out, "back", back)?;
        }
        writeln!(out, "traceroute would show:")?;
        hop_lines(out, explanation)?;
        for note in &explanation.notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    })
}

/// Only what a traceroute would show.
pub(crate) fn hops(explanation: &Explanation) -> Result<(), Failure> {
    print(|out| hop_lines(out, explanation))
}

/// Any answer as JSON.
pub(crate) fn json(answer: &impl Serialize) -> Result<(), Failure> {
    print(|out| {
        serde_json::to_writer_pretty(&mut *out, answer)?;
        writeln!(out)
    })
}

fn way(out: &mut impl Write, title: &str, way: &Way) -> io::Result<()> {
    writeln!(out, "{title}: {}", way.outcome)?;
    let mut hop = 0;
    for stop in &way.stops {
        let indent = "    ".repeat(stop.depth);
        let number = if stop.visible {
            hop += 1;
            format!("{hop:>2}")
        } else {
            "  ".to_owned()
        };
        writeln!(out, "{number}  {indent}{}: {}", stop.at, stop.packet)?;
        for decision in &stop.decisions {
            writeln!(out, "      {indent}{decision}")?;
        }
    }
    if !way.delay.is_zero() {
        writeln!(out, "      links delay it by {:.1} ms", way.delay.as_secs_f64() * 1000.0)?;
    }
    Ok(())
}

fn hop_lines(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    for (number, hop) in (1..).zip(&explanation.traceroute) {
        match hop {
            Some(address) => writeln!(out, "{number:>2}  {address}")?,
            None => writeln!(out, "{number:>2}  *")?,
        }
    }
    Ok(())
}

/// An instance's state, unless its machine tells worse.
fn state(state: &str, machine: &MachineReport) -> String {
    if machine.state == state { state.to_owned() } else { format!("{state} ({})", machine.state) }
}

fn addresses(addresses: &[impl ToString]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Rows in columns as wide as their widest cell.
fn table<const N: usize>(out: &mut impl Write, rows: &[[String; N]]) -> io::Result<()> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn print(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).map_err(Failure::Output)
}
