"""rustbalance init, as people call it."""

from pathlib import Path

from rustbalance.config import load_config
from rustbalance.provisioning.new_node import create_node
from tests.cli.case import CliCase


class InitTests(CliCase):
    """What is told, and what is refused."""

    def test_tells_what_comes_next(self) -> None:
        """The address and a command that can be pasted are on stdout; nothing is asked."""
        done = self.run_program("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        config = self.directory / "node" / "config.toml"
        address = self.run_program("show-onion", "--config", config).stdout.strip()
        self.assertIn(address, done.stdout)
        self.assertIn(f"rustbalance run --config {config}", done.stdout)
        self.assertEqual(self.run_program("check-config", config).returncode, 0)
        load_config(config)

    def test_refuses_to_overwrite(self) -> None:
        """A second time it says what is in the way; with --force it goes on and tells where the old key is."""
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assertEqual(self.call(*words).exit_code, 0)
        self.assert_refused(self.call(*words), "master.key", "--force")
        forced = self.call(*words, "--force")
        self.assertEqual(forced.exit_code, 0, forced.output)
        self.assertIn("master.key.old-1", forced.stdout)

    def test_carriers(self) -> None:
        """Each carrier gives a configuration that starts as it is, with its endpoint where that has a meaning."""
        for number, (carrier, endpoint) in enumerate(
            (("tor", None), ("direct", None), ("direct", "10.0.0.1:7000"), ("wireguard", "node.example:51821"))
        ):
            directory = self.directory / str(number)
            words: list[str | Path] = ["init", "--dir", directory, "--target", "127.0.0.1:8000", "--carrier", carrier]
            done = self.call(*words, *(["--endpoint", endpoint] if endpoint else []))
            self.assertEqual((done.exit_code, done.stderr), (0, ""), done.output)
            config = load_config(directory / "config.toml")
            self.assertEqual(config.coordination.mode, carrier)
            if carrier == "direct":
                self.assertEqual(config.coordination.listen, endpoint or "127.0.0.1:0")
            if carrier == "wireguard":
                found = config.wireguard
                self.assertEqual((str(found.external_endpoint), found.listen_port), (endpoint, 51821))
                self.assertEqual(found.tunnel_ip, "10.200.200.1")
                self.assertIsNotNone(found.private_key)

    def test_bad_endpoints(self) -> None:
        """An endpoint that its carrier cannot use is refused before anything is written."""
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assert_refused(self.call(*words, "--endpoint", "10.0.0.1:1"), "--carrier wireguard or direct")
        self.assert_refused(self.call(*words, "--carrier", "direct", "--endpoint", "8.8.8.8:1"), "private network")
        self.assert_refused(self.call(*words, "--carrier", "wireguard", "--endpoint", "x"), "HOST:PORT")
        self.assertFalse((self.directory / "node").exists())

    def test_line_for_a_bundle(self) -> None:
        """One line says how another node gets in; it can be pasted."""
        done = self.call("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assertIn(f"rustbalance bundle --dir {self.directory / 'node'} ", done.stdout)

    def phrase(self, text: str = "correct horse battery") -> Path:
        """Return a file with a passphrase."""
        path = self.directory / "phrase"
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def test_bundle(self) -> None:
        """A second node can be invited in the same breath: its bundle opens with the passphrase, for one day."""
        out = self.directory / "second.bundle"
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000", "--bundle", out)
        done = self.run_detached(*words, "--passphrase-file", self.phrase())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("valid for 24 hours", done.stdout)
        joined = self.call("join", out, "--dir", self.directory / "second", "--passphrase-file", self.phrase())
        self.assertEqual(joined.exit_code, 0, joined.output)
        first, second = (load_config(self.directory / name / "config.toml") for name in ("node", "second"))
        self.assertEqual(first.coordination.cluster_token, second.coordination.cluster_token)

    def test_bundle_refused(self) -> None:
        """A passphrase that is missing, too short, or for no bundle, is told before anything is written (D-69)."""
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        out, phrase = self.directory / "b", "--passphrase-file"
        self.assert_refused(self.call(*words, "--bundle", out, phrase, self.phrase("short")), "at least 12")
        self.assert_refused(self.call(*words, phrase, self.phrase()), "--bundle FILE")
        self.assertIn("no terminal", self.run_detached(*words, "--bundle", out).stderr)
        self.assertFalse((self.directory / "node").exists())

    def test_what_the_machine_lacks(self) -> None:
        """When tor is not installed the node is made all the same, and it is said what to do before the start."""
        done = self.run_program("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000", PATH="/gone")
        self.assertEqual(done.returncode, 0)
        self.assertIn("install tor", done.stderr)

    def test_relative_directory(self) -> None:
        """The command for the next step works from everywhere."""
        made = create_node(self.directory / "x" / ".." / "node", "h:1")
        self.assertTrue(made.config.is_absolute())
        self.assertNotIn("..", str(made.config))
