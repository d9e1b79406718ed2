"""What every package uses: values, errors, redaction, clocks, texts, files, network names."""
