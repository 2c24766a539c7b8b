//! How the connections fare: counts per cluster, and the requests of this session.
//!
//! At rest nothing is asked, so nothing comes in. Not here: noting requests (`client::wire::request_stats`), how it is shown
//! (`views::clusters`, `views::messages`).

use std::collections::VecDeque;

use super::views::Subject;
use super::{App, View};
use crate::fleet::connection_health::{Asked, Weather};

/// Requests that are kept for the view `log`.
const KEPT: usize = 1000;

/// What came of one connection since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeatherNews {
    pub context: String,
    pub weather: Weather,
    pub asked: Vec<Asked>,
}

/// A request with its cluster; the number tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub number: u64,
    pub context: String,
    pub asked: Asked,
}

/// The last requests, the oldest first.
#[derive(Debug, Default)]
pub struct Requests {
    pub all: VecDeque<Request>,
    next: u64,
}

impl App {
    /// Folds news in. Gives whether something on the screen is other for it.
    pub(super) fn weather_news(&mut self, all: Vec<WeatherNews>) -> bool {
        let mut moved = false;
        for WeatherNews { context, weather, asked } in all {
            for asked in asked {
                let number = self.requests.next;
                self.requests.next += 1;
                self.requests.all.push_back(Request { number, context: context.clone(), asked });
            }
            let before = self.weather.insert(context, weather.clone()).unwrap_or_default();
            moved |= before.rtt_step() != weather.rtt_step();
        }
        while self.requests.all.len() > KEPT {
            self.requests.all.pop_front();
        }
        // The chips of the header show the step alone; what counts every request is drawn while it is looked at.
        moved || matches!(self.view(), View::Clusters | View::Log | View::Detail(Subject::Cluster(_)))
    }
}
