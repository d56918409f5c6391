"""Callbacks by themselves: history, clock, checkpoints' hours, reasons to stop, Ctrl-C, the bar."""

import os
import signal
import threading

import keras
import numpy as np
import pytest

from anime_keras import callbacks, data, metrics
from anime_keras.callbacks import Position
from anime_keras.metrics import extractors


class Model:
    """As much of a model as callbacks look at."""

    stop_training = False

    def draw(self, latents):
        return np.zeros((len(latents), 8, 8, 3), np.uint8)


def with_model(callback):
    callback.set_model(Model())
    return callback


def test_position():
    position = Position(step=0, per_epoch=4)
    ends = []
    for step in range(9):
        position.step = step
        ends.append((position.epoch, position.at_epoch_end))
    assert [epoch for epoch, _ in ends] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert [step for step, (_, end) in enumerate(ends) if end] == [4, 8]


def test_clock(monkeypatch):
    now = iter([100.0, 101.0, 103.5])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    position = Position(step=7, seconds=10.0)
    clock = with_model(callbacks.Clock(position))
    clock.on_train_begin()
    clock.on_train_batch_end(0)
    clock.on_train_batch_end(1)
    assert (position.step, position.seconds) == (9, 13.5)


def test_clock_restores_the_meters_once():
    position = Position()
    mean = keras.metrics.Mean()
    clock = callbacks.Clock(position, [np.float32(6.0), np.float32(3.0)])
    model = Model()
    model.metrics_variables = mean.variables
    clock.set_model(model)
    clock.on_epoch_begin(0)
    assert float(mean.result()) == 2.0
    mean.reset_state()
    clock.on_epoch_begin(1)
    assert float(mean.result()) == 0.0


class TestHistory:
    def write(self, path, *steps):
        position = Position(per_epoch=4)
        history = callbacks.History(path, position)
        for step in steps:
            position.step, position.seconds = step, step / 2
            history.on_epoch_end(0, {"d_loss": 1.0 / step, "g_loss": np.float32(2.5)})

    def test_a_row_an_epoch(self, tmp_path):
        path = tmp_path / "history.csv"
        self.write(path, 4, 8)
        assert path.read_text().splitlines() == [
            "epoch,step,seconds,d_loss,g_loss",
            "1,4,2.0,0.25,2.5",
            "2,8,4.0,0.125,2.5",
        ]
        assert callbacks.read_history(path) == {
            "epoch": [1, 2],
            "step": [4, 8],
            "seconds": [2.0, 4.0],
            "d_loss": [0.25, 0.125],
            "g_loss": [2.5, 2.5],
        }

    def test_no_row_for_an_epoch_cut_short(self, tmp_path):
        self.write(tmp_path / "history.csv", 3)
        assert not (tmp_path / "history.csv").exists()

    @pytest.mark.parametrize(("step", "left"), [(12, 3), (11, 2), (8, 2), (5, 1), (3, 0), (0, 0)])
    def test_resume_drops_what_came_later(self, tmp_path, step, left):
        path = tmp_path / "history.csv"
        self.write(path, 4, 8, 12)
        lines = path.read_text().splitlines()
        callbacks.History(path, Position(step=step, per_epoch=4)).on_train_begin()
        if left:
            assert path.read_text().splitlines() == lines[: 1 + left]
        assert [p.name for p in tmp_path.iterdir()] == (["history.csv"] if left else [])
        self.write(path, 4 * (left + 1))
        assert callbacks.read_history(path)["epoch"] == list(range(1, left + 2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_stop_on_nan(value):
    watchman = callbacks.StopOnNaN(Position(step=41))
    watchman.on_train_batch_end(0, {"d_loss": 1e30, "g_loss": np.float32(-1e30)})
    with pytest.raises(FloatingPointError, match=r"g_loss became .* at step 41\.") as raised:
        watchman.on_train_batch_end(0, {"d_loss": 1.0, "g_loss": value})
    for advice in ("--learning-rate", "--spectral-norm", "--loss hinge", "--precision float32"):
        assert advice in str(raised.value)


def test_checkpoint_times(monkeypatch, tmp_path):
    """Every minute within an epoch and at its end, each step once; at its end not twice."""
    now, saved = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(
        "anime_keras.checkpoints.save", lambda model, folder, step, **rest: saved.append(step)
    )
    position = Position(per_epoch=9)
    checkpoint = with_model(callbacks.Checkpoint(tmp_path, position, minutes=1.0))
    for step in range(1, 24):
        now[0] += 25.0
        position.step = step
        checkpoint.on_train_batch_end(0)
        if step % 9 == 0 or step == 23:
            assert step not in saved  # history and samples come first
            checkpoint.on_epoch_end(0)
    assert saved == [3, 6, 9, 12, 15, 18, 21, 23]


def test_sample_sheet(tmp_path):
    position, seen = Position(per_epoch=4), []
    samples = with_model(
        callbacks.SampleSheet(
            tmp_path, position, lambda model: np.zeros((9, 5, 3), "uint8"), on_picture=seen.append
        )
    )
    samples.on_train_begin()
    for step in (3, 4, 8):
        position.step = step
        samples.on_epoch_end(0)
    samples.on_train_begin()  # resumed: the untrained generator is not drawn again
    names = ["epoch-0000.png", "epoch-0001.png", "epoch-0002.png"]
    assert [path.name for path in seen] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names


class TestScore:
    NAMES = ("fid", "kid", "is", "prdc", "swd", "neighbours")

    def test_every_metric_is_that_of_its_function(self):
        """Against the functions on arrays, of drawn faces that stand in for a model's."""
        real, fake = (data.render(80, seed=seed).images for seed in (820, 821))
        position = Position(step=4, per_epoch=4)
        score = callbacks.Score(
            real, lambda model, count: fake[:count], position, count=60, metrics=self.NAMES
        )
        with_model(score)
        logs = {"loss": 1.0}
        score.on_epoch_end(0, logs)
        extractor = extractors.get("anime")
        first, (second, probabilities) = extractor(real)[0], extractor(fake[:60])
        levels = metrics.sliced_wasserstein_distance(real[:60], fake[:60]).values()
        precision, recall = metrics.precision_recall(first[:60], second)
        density, coverage = metrics.density_coverage(first[:60], second)
        assert logs == pytest.approx(
            {
                "loss": 1.0,
                "fid": metrics.frechet_distance(first, second),
                "kid": metrics.subset_distances(first, second, 100, 30).mean(),
                "inception_score": metrics.inception_score(probabilities)[0],
                "precision": precision,
                "recall": recall,
                "density": density,
                "coverage": coverage,
                "swd": 1000 * np.mean([between for between, _ in levels]),
                "memorisation": metrics.memorisation(second, first).nearer,
            },
            rel=1e-4,
        )

    def test_epochs_in_between_get_nan(self):
        position = Position(step=4, per_epoch=4)  # the end of the first epoch
        score = callbacks.Score(np.zeros((0,)), None, position, every=2, metrics=("prdc", "swd"))
        logs = {}
        with_model(score).on_epoch_end(0, logs)
        assert list(logs) == ["precision", "recall", "density", "coverage", "swd"]
        assert np.isnan(list(logs.values())).all()

    def test_unknown(self):
        with pytest.raises(
            ValueError, match=r"'ppl' cannot be measured during training: .*fid, kid"
        ):
            callbacks.Score(None, None, Position(), metrics=("fid", "ppl"))


def test_time_budget():
    position = Position(seconds=59.9)
    budget = with_model(callbacks.TimeBudget(1.0, position))
    stop = with_model(callbacks.Stop(position))
    for callback in (budget, stop):
        callback.on_train_batch_end(0)
    assert not stop.model.stop_training and position.stopped == ""
    position.seconds = 60.0
    for callback in (budget, stop):
        callback.on_train_batch_end(0)
    assert stop.model.stop_training and position.stopped == "time"


class TestInterrupt:
    @pytest.fixture(autouse=True)
    def handler(self):
        """What Ctrl-C does before; put back, whatever a test leaves."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield signal.default_int_handler
        signal.signal(signal.SIGINT, before)

    def test_the_step_is_finished_and_the_handler_restored(self, handler):
        position = Position()
        interrupt = with_model(callbacks.Interrupt(position))
        stop = with_model(callbacks.Stop(position))
        interrupt.on_train_begin()
        stop.on_train_batch_end(0)
        assert not stop.model.stop_training
        os.kill(os.getpid(), signal.SIGINT)  # raises no KeyboardInterrupt
        assert position.stopped == "interrupt"
        stop.on_train_batch_end(1)
        assert stop.model.stop_training
        interrupt.restore()
        assert signal.getsignal(signal.SIGINT) is handler

    def test_the_second_stops_at_once(self):
        interrupt = with_model(callbacks.Interrupt(Position()))
        interrupt.on_train_begin()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()

    def test_a_run_that_calls_fit_twice(self, handler):
        interrupt = with_model(callbacks.Interrupt(Position()))
        interrupt.on_train_begin()
        interrupt.on_train_begin()
        interrupt.restore()
        assert signal.getsignal(signal.SIGINT) is handler
        interrupt.restore()
        assert signal.getsignal(signal.SIGINT) is handler

    def test_in_another_thread(self, handler):
        """Where Python allows no handlers, training goes on without one."""
        errors = []

        def work():
            try:
                interrupt = with_model(callbacks.Interrupt(Position()))
                interrupt.on_train_begin()
                interrupt.restore()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert errors == []
        assert signal.getsignal(signal.SIGINT) is handler


class TestProgressBar:
    @pytest.mark.parametrize(
        ("epochs", "minutes", "expected"),
        [(4, None, 0.375), (None, 2.0, 0.25), (4, 2.0, 0.375), (2, 10.0, 0.75), (1, None, 1.0)],
    )
    def test_follows_what_ends_first(self, epochs, minutes, expected):
        position = Position(step=15, seconds=30.0, per_epoch=10)
        assert callbacks.ProgressBar(position, 8, epochs, minutes).fraction() == expected

    def test_draws_and_leaves_the_terminal(self, capsys):
        position = Position(per_epoch=10)
        bar = callbacks.ProgressBar(position, 8, 1, None)
        bar.close()  # before it was ever shown
        bar.on_train_begin()
        position.step = 10
        bar.on_train_batch_end(0, {"d_loss": 1.25, "real_score": 0.5})
        bar.on_train_end()
        bar.close()
        text = capsys.readouterr().out
        assert "epoch 1" in text and "100%" in text and "d_loss 1.25" in text
        assert "real_score" not in text

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3599, "59:59"), (7325, "2:02:05")]
    )
    def test_time(self, seconds, text):
        assert callbacks._minutes(seconds) == text
