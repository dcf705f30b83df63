from pulse_host.cli import main

main()
