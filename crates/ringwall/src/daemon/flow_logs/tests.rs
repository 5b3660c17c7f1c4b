//! Windows and their files.

use std::fs;

use engine::{Direction, Fabric, PortId};
use model::{
    AccountId, Applied, Change, FlowLogResource, InterfaceId, Launch, LogFormat, NewInterface, RegionName,
    Tags,
};

use super::*;

const START: u64 = 1_795_391_700;

/// A region with an instance on a port.
struct Place {
    region: Region,
    interface: InterfaceId,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let key = RegionKey {
            account: AccountId("123456789012".to_owned()),
            region: RegionName("eu-west-1".to_owned()),
        };
        let mut region = Region::new(key, 1);
        let cidr = "10.0.0.0/16".parse().unwrap();
        let Ok(Applied::Vpc(vpc)) = region.apply(Change::CreateVpc { cidr, tags: Tags::new() }) else {
            panic!()
        };
        let create = Change::CreateSubnet { vpc, cidr, availability_zone: None, tags: Tags::new() };
        let Ok(Applied::Subnet(subnet)) = region.apply(create) else { panic!() };
        let image = "ami-00000000000000001".parse().unwrap();
        let launch = Launch::new(image, "t3.micro".to_owned(), NewInterface::new(subnet));
        region.apply(Change::RunInstances(launch)).unwrap();
        let interface = *region.interfaces().keys().next().unwrap();
        Place { region, interface, directory: tempfile::tempdir().unwrap() }
    }

    fn log(&mut self, traffic: TrafficType, interval: u32) -> FlowLogId {
        let wanted = NewFlowLog {
            resource: FlowLogResource::Interface(self.interface),
            traffic,
            interval,
            format: LogFormat::default(),
            destination: "arn:aws:s3:::flows".parse().unwrap(),
            hive_compatible: false,
            per_hour: false,
            time: 0,
            tags: Tags::new(),
        };
        let Ok(Applied::FlowLog(id)) = self.region.apply(Change::CreateFlowLog(wanted)) else { panic!() };
        id
    }

    fn key(&self) -> InterfaceKey {
        InterfaceKey { region: self.region.key().clone(), interface: self.interface }
    }

    /// The round at this second since the start.
    fn round(&self, logs: &mut FlowLogs, second: u64, counted: &FlowRecords) -> Vec<Delivery> {
        let interfaces = [(self.key(), PortId(1))].into();
        let fabric = Fabric { interfaces, ..Fabric::default() };
        let tables = Tables::compile([&self.region], &fabric, 1, 1);
        let now = (Time(0).after(second), START + second);
        logs.round(&[Arc::new(self.region.clone())], &tables, now, self.directory.path(), || counted.clone())
    }

    /// What one packet makes.
    fn packet(&self, port: u16, accepted: bool, second: u64) -> FlowRecords {
        let address = "10.0.0.4".parse().unwrap();
        let flow = Flow {
            interface: Arc::new(self.key()),
            direction: Direction::Ingress,
            accepted,
            path: None,
            own: address,
            src: "10.0.0.5".parse().unwrap(),
            dst: address,
            protocol: 17,
            src_port: port,
            dst_port: 53,
        };
        let seen = Seen { packets: 1, bytes: 40, first: START + second, last: START + second, tcp_flags: 0 };
        FlowRecords { flows: vec![(flow, seen)], ..FlowRecords::default() }
    }

    /// What a log's files say, in the order of their names: the time in them, and the ends of their lines, without
    /// what is the same in all.
    fn read(&self, log: FlowLogId) -> Vec<(String, Vec<String>)> {
        let folder = "buckets/flows/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026";
        let mut files = Vec::new();
        let mut open = vec![self.directory.path().join(folder)];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                    continue;
                }
                let name = entry.file_name().into_string().unwrap();
                let Some((_, time)) = name.split_once(&format!("{log}_")) else { continue };
                let mut text = String::new();
                let mut file = flate2::read::GzDecoder::new(fs::File::open(entry.path()).unwrap());
                io::Read::read_to_string(&mut file, &mut text).unwrap();
                let mut lines = text.lines();
                assert!(lines.next().unwrap().starts_with("version account-id interface-id srcaddr"));
                let same = format!("2 123456789012 {} ", self.interface);
                let lines = lines.map(|line| line.strip_prefix(&same).unwrap().to_owned()).collect();
                files.push((time[..14].to_owned(), lines));
            }
        }
        files.sort();
        files
    }
}

fn line(port: u16, packets: u64, first: u64, last: u64, action: &str) -> String {
    let (bytes, first, last) = (40 * packets, START + first, START + last);
    format!("10.0.0.5 10.0.0.4 {port} 53 17 {packets} {bytes} {first} {last} {action} OK")
}

#[test]
fn a_window_ends_when_it_is_due_and_the_next_begins() {
    let mut place = Place::new();
    let (short, long) = (place.log(TrafficType::All, 60), place.log(TrafficType::Reject, 600));
    let mut logs = FlowLogs::default();
    // What was before they began belongs to nobody.
    assert!(place.round(&mut logs, 0, &place.packet(1, true, 0)).is_empty());
    assert!(
        place.round(&mut logs, 59, &place.packet(2, true, 0)).is_empty(),
        "nobody is asked before it is time"
    );
    let done = place.round(&mut logs, 60, &place.packet(3, false, 30));
    assert!(matches!(done[..], [(id, Ok(()))] if id == short), "{done:?}");
    place.round(&mut logs, 120, &place.packet(3, false, 100));
    place.round(&mut logs, 180, &FlowRecords::default());
    let nothing = format!("- - - - - - - {} {} - NODATA", START + 120, START + 180);
    let time = "20261122T2355Z".to_owned();
    assert_eq!(
        place.read(short),
        [
            (time.clone(), vec![line(3, 1, 30, 30, "REJECT")]),
            (time.clone(), vec![line(3, 1, 100, 100, "REJECT")]),
            (time.clone(), vec![nothing]),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert!(place.read(long).is_empty());
    place.round(&mut logs, 600, &place.packet(4, true, 590));
    assert_eq!(place.read(long), [(time, vec![line(3, 2, 30, 100, "REJECT")])]);
}

#[test]
fn a_file_is_of_five_minutes_and_a_day() {
    let mut place = Place::new();
    let log = place.log(TrafficType::Accept, 600);
    let mut logs = FlowLogs::default();
    place.round(&mut logs, 0, &FlowRecords::default());
    let mut counted = place.packet(1, true, 299);
    counted.flows.extend(place.packet(2, true, 300).flows);
    counted.flows.extend(place.packet(3, false, 300).flows);
    place.round(&mut logs, 600, &counted);
    assert_eq!(
        place.read(log),
        [
            ("20261122T2355Z".to_owned(), vec![line(1, 1, 299, 299, "ACCEPT")]),
            ("20261123T0000Z".to_owned(), vec![line(2, 1, 300, 300, "ACCEPT")]),
        ]
    );
    // No traffic of the kind that is asked for is no record, and still traffic.
    place.round(&mut logs, 1200, &place.packet(3, false, 700));
    assert_eq!(place.read(log).len(), 2);
}

#[test]
fn what_is_skipped_or_lost_is_told() {
    let mut place = Place::new();
    let log = place.log(TrafficType::All, 60);
    let mut logs = FlowLogs::default();
    place.round(&mut logs, 0, &FlowRecords::default());
    let skipped = [Arc::new(place.key())].into();
    place.round(&mut logs, 60, &FlowRecords { skipped, ..FlowRecords::default() });
    let told = |from: u64, to: u64| format!("- - - - - - - {} {} - SKIPDATA", START + from, START + to);
    let time = "20261122T2355Z".to_owned();
    assert_eq!(place.read(log), [(time.clone(), vec![told(0, 60)])]);
    let buckets = place.directory.path().join("buckets");
    fs::remove_dir_all(&buckets).unwrap();
    fs::write(&buckets, "no directory").unwrap();
    let done = place.round(&mut logs, 120, &place.packet(1, true, 100));
    assert!(matches!(done[..], [(id, Err(_))] if id == log), "{done:?}");
    fs::remove_file(&buckets).unwrap();
    place.round(&mut logs, 180, &place.packet(1, true, 150));
    assert_eq!(place.read(log), [(time, vec![line(1, 1, 150, 150, "ACCEPT"), told(120, 180)])]);
}

#[test]
fn a_log_that_goes_writes_what_it_has() {
    let mut place = Place::new();
    let log = place.log(TrafficType::All, 600);
    let mut logs = FlowLogs::default();
    place.round(&mut logs, 0, &FlowRecords::default());
    place.region.apply(Change::DeleteFlowLog { flow_log: log }).unwrap();
    place.round(&mut logs, 10, &place.packet(1, true, 5));
    let expected = [("20261122T2355Z".to_owned(), vec![line(1, 1, 5, 5, "ACCEPT")])];
    assert_eq!(place.read(log), expected);
    assert!(logs.windows.is_empty());
    // So does whoever ends before its time.
    let log = place.log(TrafficType::All, 600);
    place.round(&mut logs, 20, &FlowRecords::default());
    assert!(logs.end(START + 30, place.directory.path(), &place.packet(1, true, 25))[0].1.is_ok());
    assert_eq!(place.read(log)[0].1, [line(1, 1, 25, 25, "ACCEPT")]);
}
