"""Everything that moves: sockets, timers, threads and tasks."""
