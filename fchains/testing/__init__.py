"""The inline runner, fakes, the pytest plugin, and the contract suite for runners."""
