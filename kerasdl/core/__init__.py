"""What every package uses: errors, atomic file writes, registries, extensions."""
