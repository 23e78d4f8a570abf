"""The worker's side: serves jobs, performs stages and checks what they leave behind. It may import stages and torch."""
