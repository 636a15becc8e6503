//! What a caller does with the results of the raw calls.

/// The loop over poll(2)'s results that a caller needs: adds them to a sum. (Given, not
/// made here, it is as cheap as a loop in place: the guest's instructions are counted.)
#[inline(always)]
pub fn add_ready(sum: u64, entries: &[libc::pollfd], ready: libc::c_int) -> u64 {
    let (mut left, mut sum) = (ready, sum);
    for entry in entries {
        if entry.revents != 0 {
            sum += entry.fd as u64 + entry.revents as u64;
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    sum
}
