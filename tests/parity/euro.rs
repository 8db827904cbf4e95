//! The one-euro filter as MediaPipe applies it (`util/filtering/one_euro_filter.cc`).

/// One filter per value, all on one clock.
pub struct OneEuro {
    min_cutoff: f64,
    beta: f64,
    derivative_cutoff: f64,
    last: Option<(f64, Vec<State>)>,
}

#[derive(Clone, Copy)]
struct State {
    raw: f64,
    value: f64,
    speed: f64,
}

impl OneEuro {
    pub fn new(min_cutoff: f64, beta: f64, derivative_cutoff: f64) -> Self {
        Self {
            min_cutoff,
            beta,
            derivative_cutoff,
            last: None,
        }
    }

    /// Filters `values` in place; `scale` makes their speed independent of the body's size.
    pub fn apply(&mut self, time_s: f64, scale: f64, values: &mut [f64]) {
        let Some((then, states)) = &mut self.last else {
            let start = |&v: &f64| State {
                raw: v,
                value: v,
                speed: 0.0,
            };
            self.last = Some((time_s, values.iter().map(start).collect()));
            return;
        };
        let rate = 1.0 / (time_s - *then);
        *then = time_s;
        let alpha = |cutoff: f64| {
            let tau = 1.0 / (2.0 * std::f64::consts::PI * cutoff);
            1.0 / (1.0 + tau * rate)
        };
        let slow = alpha(self.derivative_cutoff);
        for (v, s) in values.iter_mut().zip(states) {
            let speed = (*v - s.raw) * scale * rate;
            s.speed = slow * speed + (1.0 - slow) * s.speed;
            let a = alpha(self.min_cutoff + self.beta * s.speed.abs());
            s.value = a * *v + (1.0 - a) * s.value;
            s.raw = *v;
            *v = s.value;
        }
    }
}
