# La fiche de réglage, sa page, et la page où mène son code, en français. Chaque clé est aussi dans
# ../en, à la même place.

card-of = Fiche de réglage de { $value }
card-button = Fiche de réglage
card-show = Afficher
card-add-code = Ajouter un code QR vers la page de test, valable 7 jours
card-code-words = Le code mène à une page qui montre, sans connexion, ce que disent tous les appareils de ce connecteur, expéditeurs et destinataires compris. Elle commence quand on l’ouvre. Quiconque a la fiche peut la lire pendant 7 jours ; donnez l’adresse d’un appareil pour exclure les autres.
card-code-of = Le code mène à une page qui montre, sans connexion, ce que dit { $value }, expéditeurs et destinataires compris, et rien des autres appareils, à partir de son ouverture. Quiconque a la fiche peut la lire pendant 7 jours.
card-any-maker = Tout fabricant
card-ask-maker = Fabricant
card-ask-language = Langue de la fiche
card-ask-server = Nom du serveur
card-ask-ip = Son adresse IP
card-ask-port = Port
card-ask-user = Utilisateur
card-ask-sender = Expéditeur
card-ask-site = Site
card-ask-contact = Questions à
card-ask-device = Adresse de l’appareil (pour le code)
card-source = Libellés de { $models } ; source : { $source } ({ $day }). Les autres champs ont des termes généraux.
card-host-long = Le nom du serveur dépasse { $count } caractères : difficile à saisir sur l’écran d’un appareil.
card-host-too-long = Le nom du serveur dépasse { $count } caractères : beaucoup d’appareils ne l’acceptent pas. Utilisez l’adresse IP ou un nom plus court.
card-no-ip = Donnez aussi l’adresse IP du serveur : certains appareils n’ont pas de DNS.
card-field-short = Un champ de cet appareil n’accepte que { $count } caractères : une des valeurs est plus longue.

card-title = Numérisation vers e-mail
card-edition = Fiche v{ $version } · { $day } · questions : { $contact }
card-server = Serveur SMTP
card-port = Port
card-encryption = Chiffrement (TLS/SSL)
card-authentication = Authentification SMTP
card-user = Nom d’utilisateur
card-password = Mot de passe
card-sender = Adresse de l’expéditeur (De)
card-size = Taille maximale
card-pop = POP avant SMTP
card-on = activé
card-off = désactivé
card-separately = remis séparément
card-or-ip = { $server } (ou { $ip })
card-also = À régler aussi : serveur DNS, passerelle, date et heure (les certificats en ont besoin).
card-leave = Ne pas toucher : division des messages (désactivée), contrôle du certificat du serveur (réglage d’origine).
card-reach-says = « Échec de connexion », « serveur introuvable »
card-reach-means = L’appareil n’a pas atteint le serveur.
card-reach-do = Vérifiez DNS, passerelle et port, ou saisissez l’adresse IP.
card-login-says = « Échec d’authentification »
card-login-means = L’utilisateur ou le mot de passe est incorrect, ou l’appareil se connecte avant de chiffrer.
card-login-do = Ressaisissez les deux ; activez le chiffrement.
card-refused-says = « Rejeté », ou un code comme 550
card-refused-means = Le serveur a été atteint et dit pourquoi.
card-refused-do = Notez les lettres et chiffres entre parenthèses : c’est la référence.

waiting-now = En attente de votre appareil. Lancez une numérisation.
waiting-since = Affiché ici : ce qui arrive depuis
waiting-over = Ce code n’est plus valable. Demandez une nouvelle fiche.
