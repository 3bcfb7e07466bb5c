"""What people read: numbers, times, traces and tables as text."""
