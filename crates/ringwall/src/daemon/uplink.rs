//! Where a cloud without a world around it leads to.

use engine::PortId;
use host::cloud::Names;
use host::kernel::Linux;
use host::plan::Plan;
use host::uplink::{Through, Uplink, UplinkError, Wanted};
use lab::file::Lab;
use lab::plan::{self, UPLINK};

use crate::Failure;
use crate::flags::{ServeFlags, UplinkFlag};

/// Reads what `serve` was told about its uplink.
pub(crate) fn wanted(flags: &ServeFlags, lab: &Lab) -> Result<Option<Wanted>, Failure> {
    let refused = |why: &str| Err(Failure::Refused(why.to_owned()));
    let through = match (&flags.uplink, flags.uplink_gateway, flags.uplink_forwarding) {
        (UplinkFlag::None, None, false) => return Ok(None),
        (UplinkFlag::Host, None, set_forwarding) => {
            Through::Machine { mac: plan::machine_mac(lab), set_forwarding }
        }
        (UplinkFlag::Interface(name), Some(gateway), false) => {
            Through::Interface { name: name.clone(), gateway }
        }
        (UplinkFlag::Interface(name), None, _) => {
            return refused(&format!(
                "--uplink {name} needs to know where packets for the internet go: --uplink-gateway ADDRESS"
            ));
        }
        (UplinkFlag::None | UplinkFlag::Host, Some(_), _) => {
            return refused("--uplink-gateway is for --uplink INTERFACE");
        }
        (_, _, true) => return refused("--uplink-forwarding is for --uplink host"),
    };
    if !rustix::process::geteuid().is_root() {
        return refused(
            "only root can lead a cloud out through this machine: --uplink none is for everybody",
        );
    }
    Ok(Some(Wanted {
        cloud: lab.name.clone(),
        fabric: Names::of(&lab.name).fabric(),
        port: UPLINK.to_owned(),
        mac: plan::uplink_mac(lab),
        pool: flags.pool,
        through,
    }))
}

/// The way out, as the agent keeps it.
pub(super) struct Way {
    uplink: Uplink,
    /// What was wrong with it last.
    trouble: String,
}

impl Way {
    pub(super) fn new(uplink: Uplink) -> Way {
        Way { uplink, trouble: String::new() }
    }

    /// Has it stand; says whether its link in the fabric has been made now. Where it cannot be made again, everything
    /// else goes on without it.
    pub(super) fn ensure(
        &mut self,
        kernel: &mut Linux,
        standing: bool,
        first: bool,
    ) -> Result<bool, UplinkError> {
        match self.uplink.ensure(kernel, standing) {
            Err(error) if !first => {
                let words = error.to_string();
                if words != self.trouble {
                    tracing::error!(%error, "the uplink does not stand; trying again");
                    self.trouble = words;
                }
                Ok(false)
            }
            made => {
                self.trouble.clear();
                made
            }
        }
    }

    /// What the engine has to know of it.
    pub(super) fn at(&self, port: PortId) -> engine::Uplink {
        self.uplink.at(port)
    }
}

/// Takes the pair that leads to the lab's internet out of the plan: another link has its place.
pub(super) fn take_place(plan: &mut Plan, names: &Names) {
    plan.veths.retain(|veth| veth.a.link != UPLINK);
    if let Some(fabric) = plan.namespaces.get_mut(&names.fabric()) {
        fabric.foreign.insert(UPLINK.to_owned());
    }
}
