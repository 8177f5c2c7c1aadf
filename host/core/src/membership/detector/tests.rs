use alloc::vec::Vec;

use super::*;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Time {
    Time(ms * MS)
}

/// The settings of the worked cases: Pekko's, without pause and without what Pekko does not have.
fn bare() -> PhiSettings {
    PhiSettings {
        acceptable_heartbeat_pause: Duration::ZERO,
        burst_interval: Duration::ZERO,
        ..PhiSettings::DEFAULT
    }
}

fn with_pause() -> PhiSettings {
    PhiSettings {
        acceptable_heartbeat_pause: Duration::from_secs(3),
        ..bare()
    }
}

fn detector(settings: PhiSettings) -> Detector {
    Detector::new(DetectorSettings::Phi(settings))
}

fn beats(detector: &mut Detector, times: impl IntoIterator<Item = u64>) {
    for ms in times {
        detector.heartbeat(at(ms), at(ms));
    }
}

fn assert_near(actual: f64, expected: f64, within: f64) {
    assert!(
        (actual - expected).abs() <= within,
        "{actual} is not {expected} ± {within}"
    );
}

#[test]
fn phi_is_the_logarithm_of_the_normal_distributions_tail() {
    let cdf = |phi: f64| 1.0 - libm::pow(10.0, -phi);
    let expected = [
        (0.0, 0.5, 0.001),
        (6.0, 0.7257, 0.001),
        (15.0, 0.9332, 0.001),
        (20.0, 0.97725, 0.001),
        (25.0, 0.99379, 0.001),
        (35.0, 0.99977, 0.001),
        (40.0, 0.99997, 0.0001),
    ];
    for (x, share, within) in expected {
        assert_near(cdf(phi(x, 0.0, 10.0)), share, within);
    }
    assert_near(cdf(phi(22.0, 20.0, 3.0)), 0.7475, 0.001);
    let rising: Vec<f64> = (0..=40).map(|x| phi(f64::from(x), 0.0, 10.0)).collect();
    assert!(rising.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn phi_is_finite_at_both_ends() {
    assert_near(phi(10.0, 0.0, 1.0), 38.0, 1.0);
    assert_eq!(phi(-25.0, 0.0, 1.0), 0.0);
    let year = 365.0 * 24.0 * 3600.0 * 1000.0;
    assert!(phi(year, 1000.0, 100.0).is_finite());
    assert_eq!(phi(-year, 1000.0, 100.0), 0.0);
}

#[test]
fn phi_grows_with_the_silence_and_shrinks_with_the_deviation() {
    let expected = [
        (0.0, 0.0),
        (500.0, 0.1),
        (1000.0, 0.3),
        (1200.0, 1.6),
        (1400.0, 4.7),
        (1600.0, 10.8),
        (1700.0, 15.3),
    ];
    for (elapsed, suspicion) in expected {
        assert_near(phi(elapsed, 1000.0, 100.0), suspicion, 0.1);
    }
    assert!(phi(1100.0, 1000.0, 500.0) < phi(1100.0, 1000.0, 100.0));
}

#[test]
fn who_never_answered_is_not_suspected() {
    let detector = detector(bare());
    assert_eq!(detector.phi(at(1_000_000)), 0.0);
    assert!(!detector.is_monitoring());
    assert!(detector.is_available(at(1_000_000)));
}

#[test]
fn the_first_answer_starts_with_the_estimate() {
    let mut detector = detector(bare());
    beats(&mut detector, [0]);
    assert!(detector.is_monitoring());
    assert_near(detector.phi(at(1000)), 0.3, 0.2);
    assert_near(detector.phi(at(2000)), 4.5, 0.3);
    assert!(15.0 < detector.phi(at(3000)));
}

#[test]
fn silence_makes_unavailable() {
    let mut detector = detector(PhiSettings {
        threshold: 3.0,
        ..bare()
    });
    beats(&mut detector, [0, 1000, 1100]);
    assert!(detector.is_available(at(1200)));
    assert!(!detector.is_available(at(8200)));
}

#[test]
fn a_long_outage_does_not_blunt_the_detector() {
    let mut detector = detector(with_pause());
    let mut now = 0;
    beats(&mut detector, [0]);
    for _ in 1..1000 {
        now += 1000;
        beats(&mut detector, [now]);
    }
    let mut seen = Vec::new();
    for (beat_first, silence) in [
        (false, 300_000),
        (true, 900),
        (true, 7000),
        (true, 900),
        (true, 900),
    ] {
        if beat_first {
            now += 100;
            beats(&mut detector, [now]);
        }
        now += silence;
        seen.push(detector.is_available(at(now)));
    }
    assert_eq!(seen, [false, true, false, true, true]);
}

#[test]
fn the_acceptable_pause_is_accepted_and_no_more() {
    let mut one = detector(with_pause());
    beats(&mut one, [0, 1000, 2000, 3000]);
    assert!(one.is_available(at(7000)));
    beats(&mut one, [8000]);
    assert!(one.is_available(at(9000)));

    let mut other = detector(with_pause());
    beats(&mut other, [0, 1000, 2000, 3000, 4000, 5000]);
    assert!(other.is_available(at(5500)));
    beats(&mut other, [6000]);
    assert!(!other.is_available(at(11_000)));
}

#[test]
fn the_default_finds_a_silent_node_out_in_five_and_a_half_seconds() {
    let mut detector = detector(PhiSettings::DEFAULT);
    beats(&mut detector, (0..=60).map(|second| second * 1000));
    let found = (60_000..).find(|ms| !detector.is_available(at(*ms)));
    assert_near(found.unwrap() as f64, 65_500.0, 1000.0);
}

#[test]
fn only_the_last_samples_count() {
    let mut detector = detector(PhiSettings {
        max_sample_size: 3,
        ..bare()
    });
    beats(&mut detector, [0, 100, 200, 300]);
    let first = detector.phi(at(400));
    beats(&mut detector, [1000, 1500, 2000, 2500]);
    assert_near(detector.phi(at(3000)), first, 0.001);
}

fn history(samples: u32, intervals: &[u64]) -> History {
    let mut history = History::new(samples);
    for interval in intervals {
        history.push(Duration::from_millis(*interval));
    }
    history
}

#[test]
fn mean_and_variance_are_those_of_the_population() {
    let five = history(20, &[100, 200, 125, 340, 130]);
    assert_eq!((five.mean_ms(), five.variance_ms2()), (179.0, 7584.0));
    assert_eq!(history(3, &[100]).variance_ms2(), 0.0);
    let rolling: [(&[u64], f64, f64); 3] = [
        (&[100, 110, 90], 100.0, 66.667),
        (&[100, 110, 90, 140], 113.333, 422.222),
        (&[100, 110, 90, 140, 80], 103.333, 688.889),
    ];
    for (intervals, mean, variance) in rolling {
        let history = history(3, intervals);
        assert_near(history.mean_ms(), mean, 0.001);
        assert_near(history.variance_ms2(), variance, 0.001);
    }
}

#[test]
fn the_sums_hold_the_worst_samples() {
    let mut worst = History::new(u32::MAX);
    for _ in 0..PhiSettings::SAMPLES_MAX + 10 {
        worst.push(Duration::MAX);
    }
    assert_eq!(worst.variance_ms2(), 0.0);
    assert_eq!(
        worst.intervals.len(),
        usize::try_from(PhiSettings::SAMPLES_MAX).unwrap()
    );
}

/// Answers to 100 regular heartbeats, the last four of which were held up somewhere and arrive within a moment.
fn after_a_burst(settings: PhiSettings, repeated: u64) -> Detector {
    let mut detector = detector(settings);
    let mut second = 0;
    for _ in 0..repeated {
        for _ in 0..4 {
            second += 1;
            detector.heartbeat(at(second * 1000), at(second * 1000));
        }
        let arrival = (second + 4) * 1000;
        for held in 0..4 {
            second += 1;
            detector.heartbeat(at(arrival + held), at(second * 1000));
        }
    }
    detector
}

#[test]
fn a_burst_does_not_teach_that_answers_come_in_bursts() {
    let mean = |detector: &Detector| detector.history.mean_ms();
    let guarded = after_a_burst(PhiSettings::DEFAULT, 200);
    assert!(
        1000.0 <= mean(&guarded),
        "never shorter than the heartbeats were apart: {}",
        mean(&guarded)
    );
    // By the times at which the heartbeats were sent alone, without the rule for bursts, nothing collapses either.
    let by_sending = after_a_burst(
        PhiSettings {
            burst_interval: Duration::ZERO,
            ..PhiSettings::DEFAULT
        },
        200,
    );
    assert!(1000.0 <= mean(&by_sending), "{}", mean(&by_sending));
}

#[test]
fn an_answer_that_used_up_most_of_the_pause_is_told() {
    let mut detector = detector(PhiSettings::DEFAULT);
    assert_eq!(detector.heartbeat(at(0), at(0)), None);
    assert_eq!(detector.heartbeat(at(1999), at(1999)), None);
    let late = detector.heartbeat(at(3999), at(3999));
    assert_eq!(late, Some(Duration::from_millis(2000)));
}

#[test]
fn a_deadline_is_a_deadline() {
    let mut detector = Detector::new(DetectorSettings::Deadline(DeadlineSettings::DEFAULT));
    assert!(detector.is_available(at(1_000_000)));
    beats(&mut detector, [1000]);
    assert!(detector.is_available(at(13_999)));
    assert!(!detector.is_available(at(14_000)));
    assert_eq!(detector.phi(at(14_000)), 0.0);
    beats(&mut detector, [20_000]);
    assert!(detector.is_available(at(20_000)));
}

#[test]
fn time_in_which_this_node_slept_is_taken_out() {
    let mut detector = detector(PhiSettings::DEFAULT);
    beats(&mut detector, (0..=60).map(|second| second * 1000));
    let before = detector.clone();
    detector.take_out(at(90_000), Duration::from_secs(29));
    assert_eq!(detector.phi(at(90_000)), before.phi(at(61_000)));
    detector.heartbeat(at(90_000), at(61_000));
    assert_near(detector.history.mean_ms(), before.history.mean_ms(), 0.1);
    // Never into the future.
    detector.take_out(at(90_001), Duration::from_secs(60));
    assert!(detector.is_available(at(90_002)));
    assert!(!detector.is_available(at(97_000)));
}

#[test]
fn a_stall_is_noticed_once_and_suspends_judgement_for_a_pause() {
    let mut own = OwnStall::new(Duration::from_secs(1), Duration::from_secs(3));
    assert_eq!(own.notice(at(0)), None);
    own.ticked(at(0));
    assert_eq!(own.notice(at(1999)), None);
    assert!(own.judges(at(1999)));
    assert_eq!(own.notice(at(9000)), Some(Duration::from_secs(8)));
    assert_eq!(own.notice(at(9001)), None);
    assert!(!own.judges(at(11_999)));
    assert!(own.judges(at(12_000)));
}
