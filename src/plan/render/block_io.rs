//! The block I/O limits of all components, side by side. They are each component's own: the pod has none that could be divided.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::plan::units::bytes;
use crate::plan::{Plan, Planned};
use crate::pod::Blkio;

/// What one component may do with one device.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    component: &'a str,
    /// None: all devices that have no line of their own.
    device: Option<&'a str>,
    /// Share among neighbours, 10 to 1000.
    weight: Option<u16>,
    /// Bytes and operations for each second; read and written.
    bytes: [Option<u64>; 2],
    operations: [Option<u64>; 2],
}

/// Those of every component, init components first; devices in the order of their names.
fn lines(plan: &Plan) -> Vec<Line<'_>> {
    plan.init.iter().chain(&plan.components).flat_map(of).collect()
}

fn of(planned: &Planned) -> Vec<Line<'_>> {
    let component = planned.name.as_str();
    // Taken apart, so that a new setting can't be forgotten here.
    let Blkio { weight, weight_device, device_read_bps, device_write_bps, device_read_iops, device_write_iops } =
        &planned.container.host.blkio;
    let throttled = [device_read_bps, device_write_bps, device_read_iops, device_write_iops];
    let devices: BTreeSet<&str> = weight_device
        .iter()
        .map(|(device, _)| device.as_str())
        .chain(throttled.into_iter().flatten().map(|(device, _)| device.as_str()))
        .collect();
    let all = weight.map(|weight| Line {
        component,
        device: None,
        weight: Some(weight),
        bytes: [None; 2],
        operations: [None; 2],
    });
    let each = devices.into_iter().map(|device| Line {
        component,
        device: Some(device),
        weight: rate(weight_device, device),
        bytes: [rate(device_read_bps, device), rate(device_write_bps, device)],
        operations: [rate(device_read_iops, device), rate(device_write_iops, device)],
    });
    all.into_iter().chain(each).collect()
}

fn rate<T: Copy>(list: &[(String, T)], device: &str) -> Option<T> {
    list.iter().find(|(named, _)| named == device).map(|(_, value)| *value)
}

/// Rows of a table with its head; empty where no component has such a limit.
pub(super) fn rows(plan: &Plan) -> Vec<Vec<String>> {
    let lines = lines(plan);
    if lines.is_empty() {
        return Vec::new();
    }
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let head = ["", "device", "weight", "read/s", "written/s", "reads/s", "writes/s"].map(str::to_owned).to_vec();
    let row = |line: &Line<'_>| {
        let mut row = vec![line.component.to_owned(), line.device.unwrap_or("others").to_owned()];
        row.push(shown(line.weight.map(|weight| weight.to_string())));
        // What is beyond the numbers that are shown with a unit is shown without.
        let size = |rate: u64| i64::try_from(rate).map_or_else(|_| rate.to_string(), bytes);
        row.extend(line.bytes.map(|rate| shown(rate.map(size))));
        row.extend(line.operations.map(|rate| shown(rate.map(|rate| rate.to_string()))));
        row
    };
    std::iter::once(head).chain(lines.iter().map(row)).collect()
}

/// The same for programs.
pub(super) fn json(plan: &Plan) -> Value {
    let line = |line: &Line<'_>| {
        let ([read_bps, write_bps], [read_iops, write_iops]) = (line.bytes, line.operations);
        json!({
            "component": line.component,
            "device": line.device,
            "weight": line.weight,
            "read_bps": read_bps,
            "write_bps": write_bps,
            "read_iops": read_iops,
            "write_iops": write_iops,
        })
    };
    lines(plan).iter().map(line).collect()
}
