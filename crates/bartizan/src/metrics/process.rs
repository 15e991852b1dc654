//! This process, as the kernel accounts for it. Source: proc(5).

/// Ticks of a second in `/proc`: `USER_HZ`, which Linux has fixed at 100 towards programs on every platform we build for.
const TICKS: f64 = 100.0;

/// What the kernel says.
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) open_files: u64,
}

/// Asks the kernel; `None` where it says nothing.
pub(super) fn read() -> Option<Process> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident_kib: u64 = resident.split_ascii_whitespace().next()?.parse().ok()?;
    let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Process { cpu_seconds: ticks as f64 / TICKS, resident_bytes: resident_kib * 1024, open_files })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_knows_this_process() {
        let process = super::read().unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.open_files >= 3 && process.cpu_seconds >= 0.0);
    }
}
