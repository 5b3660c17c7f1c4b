//! How instances go from one state to the next.

use crate::applied::Applied;
use crate::fault::{Fault, NotPermitted};
use crate::id::InstanceId;
use crate::instance::{Instance, InstanceState, StateReason};
use crate::region::Region;

impl Region {
    pub(crate) fn start_instance(&mut self, id: InstanceId, time: u64) -> Result<Applied, Fault> {
        let instance = self.instance_mut(id)?;
        let previous = instance.state;
        match previous {
            InstanceState::Stopped => {
                instance.turn(InstanceState::Pending, None, time);
                instance.launch_time = time;
            }
            InstanceState::Pending | InstanceState::Running => {}
            _ => return Err(incorrect(id, "started")),
        }
        Ok(Applied::InstanceState { previous, current: instance.state })
    }

    pub(crate) fn stop_instance(&mut self, id: InstanceId, time: u64) -> Result<Applied, Fault> {
        let instance = self.instance_mut(id)?;
        let previous = instance.state;
        match previous {
            InstanceState::Running => {
                instance.turn(InstanceState::Stopping, Some(StateReason::UserInitiatedShutdown), time);
            }
            InstanceState::Stopping | InstanceState::Stopped => {}
            _ => return Err(incorrect(id, "stopped")),
        }
        Ok(Applied::InstanceState { previous, current: instance.state })
    }

    pub(crate) fn reboot_instance(&mut self, id: InstanceId) -> Result<(), Fault> {
        let instance = self.instance_mut(id)?;
        if instance.state != InstanceState::Running {
            return Err(incorrect(id, "rebooted"));
        }

        instance.reboots += 1;
        Ok(())
    }

    pub(crate) fn terminate_instance(&mut self, id: InstanceId, time: u64) -> Result<Applied, Fault> {
        let instance = self.instance_mut(id)?;
        let previous = instance.state;
        if !previous.is_ending() {
            if instance.disable_api_termination {
                return Err(NotPermitted::TerminationProtected(id).into());
            }
            instance.turn(InstanceState::ShuttingDown, Some(StateReason::UserInitiatedShutdown), time);
        }
        Ok(Applied::InstanceState { previous, current: instance.state })
    }

    /// What the machine's side says: it runs, it stands still, it is gone.
    pub(crate) fn set_instance_state(&mut self, id: InstanceId, state: InstanceState) -> Result<(), Fault> {
        use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
        let instance = self.instance_mut(id)?;
        let reason = match (instance.state, state) {
            (Stopped, Stopped) | (Terminated, Terminated) => return Ok(()),
            // Also one that was impaired.
            (Pending | Running, Running) => None,
            (Stopping, Stopped) | (ShuttingDown, Terminated) => instance.state_reason,
            (Running, Stopped) => Some(StateReason::InstanceInitiatedShutdown),
            (_, Running) => return Err(incorrect(id, "running")),
            (_, Stopped) => return Err(incorrect(id, "stopped")),
            (_, Terminated) => return Err(incorrect(id, "terminated")),
            // These are for whoever owns the instance to ask for.
            (_, Pending | Stopping | ShuttingDown) => return Err(incorrect(id, "in that state")),
        };

        instance.turn(state, reason, instance.state_time);
        instance.has_run |= state == Running;
        match state {
            Stopped => self.release_public_addresses(id),
            Terminated => self.release_interfaces(id),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn fail_instance(&mut self, id: InstanceId, time: u64) -> Result<(), Fault> {
        let instance = self.instance_mut(id)?;
        let error = Some(StateReason::InternalError);
        match instance.state {
            InstanceState::Pending if instance.has_run => {
                instance.turn(InstanceState::Stopped, error, time);
                self.release_public_addresses(id);
            }
            InstanceState::Pending => {
                instance.turn(InstanceState::Terminated, error, time);
                self.release_interfaces(id);
            }
            InstanceState::Running => {
                instance.impaired_since.get_or_insert(time);
            }
            _ => return Err(incorrect(id, "running")),
        }
        Ok(())
    }

    pub(crate) fn forget_instance(&mut self, id: InstanceId) -> Result<(), Fault> {
        if self.instance(id)?.state != InstanceState::Terminated {
            return Err(incorrect(id, "forgotten"));
        }

        self.instances.remove(&id);
        Ok(())
    }

    /// Takes an instance's interfaces away, or only from it if they are to outlive it.
    fn release_interfaces(&mut self, id: InstanceId) {
        let own = self.instances.get_mut(&id).map(|instance| std::mem::take(&mut instance.interfaces));
        for interface in own.into_iter().flatten() {
            let attachment = self.interfaces.get_mut(&interface).and_then(|interface| {
                // What outlives its instance is an interface like any other.
                (interface.associate_public_ip, interface.public_ip) = (false, None);
                interface.attachment.take()
            });
            if attachment.is_some_and(|attachment| attachment.delete_on_termination) {
                self.remove_interface(interface);
            }
        }
    }

    pub(super) fn instance_mut(&mut self, id: InstanceId) -> Result<&mut Instance, Fault> {
        self.instances.get_mut(&id).ok_or(Fault::InstanceNotFound(id))
    }
}

impl Instance {
    fn turn(&mut self, state: InstanceState, reason: Option<StateReason>, time: u64) {
        (self.state, self.state_reason, self.state_time) = (state, reason, time);
        self.impaired_since = None;
    }
}

fn incorrect(instance: InstanceId, wanted: &'static str) -> Fault {
    Fault::IncorrectInstanceState { instance, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Change, InstanceAttribute, InterfaceAttribute};

    fn set(instance: InstanceId, state: InstanceState) -> Change {
        Change::SetInstanceState { instance, state }
    }

    fn turned(network: &mut Network, change: Change) -> (InstanceState, InstanceState) {
        match network.apply(change) {
            Applied::InstanceState { previous, current } => (previous, current),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_life() {
        use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
        let mut network = Network::new();
        let (instance, _) = network.instance();
        let (start, stop, terminate, reboot) = (
            Change::StartInstance { instance, time: 20 },
            Change::StopInstance { instance, time: 10 },
            Change::TerminateInstance { instance, time: 30 },
            Change::RebootInstance { instance },
        );
        assert_eq!(network.refused(stop.clone()).code(), "IncorrectInstanceState");
        assert_eq!(turned(&mut network, start.clone()), (Pending, Pending));
        network.apply(set(instance, Running));
        network.apply(reboot.clone());
        assert_eq!(turned(&mut network, stop.clone()), (Running, Stopping));
        assert_eq!(turned(&mut network, stop.clone()), (Stopping, Stopping));
        assert_eq!(
            network.refused(start.clone()).to_string(),
            format!("The instance '{instance}' is not in a state from which it can be started.")
        );
        assert_eq!(network.refused(set(instance, Running)).code(), "IncorrectInstanceState");
        assert_eq!(network.refused(reboot).code(), "IncorrectInstanceState");
        network.apply(set(instance, Stopped));
        let stopped = network.region.instances()[&instance].clone();
        assert_eq!((stopped.reboots, stopped.state_time), (1, 10));
        assert_eq!(
            stopped.state_reason.unwrap().to_string(),
            "Client.UserInitiatedShutdown: User initiated shutdown"
        );

        assert_eq!(turned(&mut network, start.clone()), (Stopped, Pending));
        assert_eq!(network.region.instances()[&instance].launch_time, 20);
        network.apply(set(instance, Running));
        assert_eq!(network.region.instances()[&instance].state_reason, None);
        assert_eq!(network.refused(Change::ForgetInstance { instance }).code(), "IncorrectInstanceState");
        assert_eq!(turned(&mut network, terminate.clone()), (Running, ShuttingDown));
        for refused in [start, stop, set(instance, Running), set(instance, Stopped)] {
            assert_eq!(network.refused(refused).code(), "IncorrectInstanceState");
        }
        network.apply(set(instance, Terminated));
        assert_eq!(turned(&mut network, terminate), (Terminated, Terminated));
        network.apply(Change::ForgetInstance { instance });
        assert_eq!(network.refused(set(instance, Terminated)), Fault::InstanceNotFound(instance));
    }

    #[test]
    fn machines_fail() {
        use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
        let mut network = Network::new();
        let ((stillborn, _), (instance, _)) = (network.instance(), network.instance());
        let fail = |instance, time| Change::FailInstance { instance, time };
        let shown = |network: &Network, id| {
            let instance = &network.region.instances()[&id];
            let reason = instance.state_reason.map(StateReason::code);
            (instance.state, reason, instance.state_time, instance.impaired_since)
        };
        network.apply(fail(stillborn, 5));
        assert_eq!(shown(&network, stillborn), (Terminated, Some("Server.InternalError"), 5, None));
        assert_eq!(network.region.instances()[&stillborn].interfaces, []);
        assert_eq!(network.refused(fail(stillborn, 6)).code(), "IncorrectInstanceState");

        // One that has run is impaired, since the first failure, until it runs.
        network.apply(set(instance, Running));
        network.apply(fail(instance, 7));
        network.apply(fail(instance, 8));
        assert_eq!(shown(&network, instance), (Running, None, 0, Some(7)));
        network.apply(set(instance, Running));
        assert_eq!(shown(&network, instance), (Running, None, 0, None));
        network.apply(fail(instance, 9));
        network.apply(Change::StopInstance { instance, time: 10 });
        assert_eq!(shown(&network, instance).3, None);
        assert_eq!(network.refused(fail(instance, 11)).code(), "IncorrectInstanceState");
        network.apply(set(instance, Stopped));
        // And it can be started again.
        network.apply(Change::StartInstance { instance, time: 12 });
        network.apply(fail(instance, 13));
        assert_eq!(shown(&network, instance), (Stopped, Some("Server.InternalError"), 13, None));

        network.apply(Change::StartInstance { instance, time: 14 });
        network.apply(set(instance, Running));
        network.apply(set(instance, Stopped));
        assert_eq!(shown(&network, instance).1, Some("Client.InstanceInitiatedShutdown"));
        for asked in [Pending, Stopping, ShuttingDown] {
            assert_eq!(network.refused(set(instance, asked)).code(), "IncorrectInstanceState");
        }
    }

    #[test]
    fn what_a_terminated_instance_leaves_behind() {
        let mut network = Network::new();
        network.internet_gateway();
        let (instance, primary) = network.instance();
        network.apply(set(instance, InstanceState::Running));
        let (loose, kept) = (network.interface(&[]), network.interface(&[]));
        for (device_index, interface) in [(1, loose), (2, kept)] {
            network.apply(Change::AttachNetworkInterface { interface, instance, device_index, time: 0 });
        }
        let attachment = network.region.interfaces()[&loose].attachment.clone().unwrap().id;
        let attribute = InterfaceAttribute::DeleteOnTermination { attachment, delete: true };
        network.apply(Change::ModifyNetworkInterfaceAttribute { interface: loose, attribute });
        let (gone, stays) = (network.elastic_ip(13, primary), network.elastic_ip(14, kept));

        network.apply(Change::TerminateInstance { instance, time: 1 });
        assert_eq!(network.region.interfaces().len(), 3, "the machine may still be there");
        network.apply(set(instance, InstanceState::Terminated));
        assert_eq!(network.region.instances()[&instance].interfaces, []);
        assert_eq!(network.region.interfaces().keys().collect::<Vec<_>>(), [&kept]);
        assert_eq!(network.region.interfaces()[&kept].attachment, None);
        assert_eq!(network.region.addresses()[&gone.0].association, None);
        assert!(network.region.addresses()[&stays.0].association.is_some());
    }

    #[test]
    fn protected_instances_stay() {
        let mut network = Network::new();
        let (instance, _) = network.instance();
        let protect = |disable| Change::ModifyInstanceAttribute {
            instance,
            attribute: InstanceAttribute::DisableApiTermination(disable),
        };
        network.apply(protect(true));
        let terminate = Change::TerminateInstance { instance, time: 1 };
        assert_eq!(network.refused(terminate.clone()).code(), "OperationNotPermitted");
        network.apply(protect(false));
        network.apply(terminate);
    }
}
