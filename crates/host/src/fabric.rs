//! The fabric's loop: frames from all ports of one namespace to the engine and back, on one thread.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{Counters, DropReason, Engine, FlowRecords, PortId, Tables, Time};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use thiserror::Error;

use crate::clock::Clock;
use crate::namespace::{Namespace, NamespaceError};
use crate::packet_socket::PacketSocket;

/// How often idle connections are looked for, in seconds of the clock.
const TICK: u64 = 1;
/// How long the fabric waits for packets or commands, at most and at least: a clock may stand still, or run fast.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How often the uplink's gateway is asked for where it is, until it is known and after that: in real time, since others
/// hear it.
const ASK: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The running fabric. Dropping it stops it.
#[derive(Debug)]
pub struct Fabric {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Why the fabric did not start, or no longer answers.
#[derive(Debug, Error)]
pub enum FabricError {
    /// Its namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Its packet sockets cannot be opened.
    #[error("cannot open the fabric's packet sockets: {0}")]
    Sockets(io::Error),
    /// Its thread cannot be started.
    #[error("cannot start the fabric's thread: {0}")]
    Thread(io::Error),
    /// Its thread has ended.
    #[error("the fabric has stopped")]
    Stopped,
}

/// What was counted since the fabric started.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// By the engine.
    pub engine: Counters,
    /// Frames that the kernel dropped because the fabric did not fetch them in time.
    pub overload: u64,
}

enum Command {
    Load(Arc<Tables>),
    Counters(SyncSender<Counted>),
    FlowRecords(SyncSender<FlowRecords>),
    Expire(SyncSender<()>),
    Stop,
}

impl Fabric {
    /// Opens the packet sockets of `namespace` and forwards with `engine` from now on, by the time of `clock`.
    ///
    /// # Errors
    /// [`FabricError`], if the namespace, the sockets or the thread cannot be had.
    pub fn start(namespace: &Namespace, engine: Engine, clock: Arc<Clock>) -> Result<Fabric, FabricError> {
        let sockets = namespace.run(PacketSocket::open)?.map_err(FabricError::Sockets)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = Arc::new(wake.map_err(|error| FabricError::Thread(error.into()))?);
        let (commands, received) = mpsc::channel();
        let woken = Arc::clone(&wake);
        let thread = thread::Builder::new()
            .name("fabric".to_owned())
            .spawn(move || {
                let expired = clock.now();
                Loop { engine, sockets, clock, commands: received, wake: woken, expired, asked: None }.run();
            })
            .map_err(FabricError::Thread)?;
        Ok(Fabric { commands, wake, thread: Some(thread) })
    }

    /// Decides by these tables from now on.
    ///
    /// # Errors
    /// [`FabricError::Stopped`].
    pub fn load(&self, tables: Arc<Tables>) -> Result<(), FabricError> {
        self.tell(Command::Load(tables))
    }

    /// What was counted since the start.
    ///
    /// # Errors
    /// [`FabricError::Stopped`].
    pub fn counters(&self) -> Result<Counted, FabricError> {
        let (answer, counters) = mpsc::sync_channel(1);
        self.tell(Command::Counters(answer))?;
        counters.recv().map_err(|_| FabricError::Stopped)
    }

    /// What was counted for flow logs since this was asked last.
    ///
    /// # Errors
    /// [`FabricError::Stopped`].
    pub fn take_flow_records(&self) -> Result<FlowRecords, FabricError> {
        let (answer, records) = mpsc::sync_channel(1);
        self.tell(Command::FlowRecords(answer))?;
        records.recv().map_err(|_| FabricError::Stopped)
    }

    /// Lets go of what has been idle too long by the clock, now; packets that come later find it gone.
    ///
    /// # Errors
    /// [`FabricError::Stopped`].
    pub fn expire(&self) -> Result<(), FabricError> {
        let (answer, done) = mpsc::sync_channel(1);
        self.tell(Command::Expire(answer))?;
        done.recv().map_err(|_| FabricError::Stopped)
    }

    fn tell(&self, command: Command) -> Result<(), FabricError> {
        self.commands.send(command).map_err(|_| FabricError::Stopped)?;
        rustix::io::write(&*self.wake, &1u64.to_ne_bytes()).map_err(|_| FabricError::Stopped)?;
        Ok(())
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        // A thread that has ended already needs no telling.
        let _ = self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    engine: Engine,
    sockets: PacketSocket,
    clock: Arc<Clock>,
    commands: Receiver<Command>,
    wake: Arc<OwnedFd>,
    /// When idle connections were last looked for.
    expired: Time,
    /// When the uplink's gateway was asked for last.
    asked: Option<Instant>,
}

impl Loop {
    fn run(mut self) {
        loop {
            let Ok(woken) = self.wait() else { return };
            if woken && !self.obey() {
                return;
            }
            let now = self.clock.now();
            if now >= self.expired.after(TICK) {
                self.expire(now);
            }
            self.ask_gateway();
            if self.engine.keeps_flow_logs() {
                let date = SystemTime::now().duration_since(UNIX_EPOCH);
                self.engine.set_date(date.unwrap_or_default().as_secs());
            }
            if let Err(error) = self.forward(now) {
                tracing::warn!(%error, "cannot receive from the fabric's ports");
            }
        }
    }

    /// Waits for packets or commands; whether it was woken for a command.
    fn wait(&self) -> rustix::io::Result<bool> {
        let mut fds =
            [self.sockets.as_fd(), self.wake.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let due = self.clock.real_until(self.expired.after(TICK)).unwrap_or(LONGEST_WAIT);
        let limit = Timespec::try_from(due.clamp(SHORTEST_WAIT, LONGEST_WAIT)).ok();
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!fds[1].revents().is_empty()),
            Err(error) => {
                tracing::error!(%error, "cannot wait for packets");
                Err(error)
            }
        }
    }

    /// Carries out what was asked; false to stop.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        // All who woke us until now are heard below.
        let _ = rustix::io::read(&*self.wake, &mut count);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Load(tables) => self.engine.load(tables),
                Command::Counters(answer) => {
                    let overload = self.sockets.split().0.kernel_drops().unwrap_or_default();
                    // The asker may have gone.
                    let _ = answer.send(Counted { engine: self.engine.counters(), overload });
                }
                Command::FlowRecords(answer) => {
                    let _ = answer.send(self.engine.take_flow_records());
                }
                Command::Expire(answer) => {
                    self.expire(self.clock.now());
                    let _ = answer.send(());
                }
                Command::Stop => return false,
            }
        }
        true
    }

    fn ask_gateway(&mut self) {
        let pause = if self.engine.gateway_is_known() { ASK_AGAIN } else { ASK };
        if self.asked.is_some_and(|asked| asked.elapsed() < pause) {
            return;
        }
        let Some((port, request)) = self.engine.ask_gateway() else { return };
        self.asked = Some(Instant::now());
        if let Err(error) = self.sockets.split().1.send(port.0, &request) {
            tracing::debug!(%port, %error, "the uplink's gateway could not be asked for");
        }
    }

    fn expire(&mut self, now: Time) {
        let Loop { engine, sockets, .. } = self;
        let (_, sender) = sockets.split();
        engine.tick(now, &mut |to, frame| {
            if let Err(error) = sender.send(to.0, frame) {
                tracing::debug!(%to, %error, "an advertisement could not be sent");
            }
        });
        self.expired = now;
    }

    fn forward(&mut self, now: Time) -> io::Result<()> {
        let Loop { engine, sockets, .. } = self;
        let mut refused = Vec::new();
        let (receiver, sender) = sockets.split();
        receiver.receive(&mut |received| {
            let port = PortId(received.port);
            if received.tagged {
                engine.count_drop(port, DropReason::VlanTagged);
            } else if received.truncated {
                engine.count_drop(port, DropReason::Oversized);
            } else {
                engine.receive(now, port, received.frame, &mut |to, frame| {
                    if let Err(error) = sender.send(to.0, frame) {
                        refused.push((port, to, error));
                    }
                });
            }
        })?;
        for (from, to, error) in refused {
            let reason = match error.raw_os_error() {
                Some(libc::EINVAL) => DropReason::BadOffload,
                _ => DropReason::SendFailed,
            };
            tracing::debug!(%from, %to, %error, "a frame could not be sent");
            engine.count_drop(from, reason);
        }
        Ok(())
    }
}
